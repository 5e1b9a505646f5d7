import { prometheus } from '@broadcaster/server/prometheus'
import { Registry } from 'prom-client'
import { describe, expect, it } from 'vitest'
import { connect, signIn } from '../support/connect.ts'
import { LongPollPeer } from '../support/longPollPeer.ts'
import { alertExpressions, panelExpressions } from '../support/monitoringFiles.ts'
import { channelName } from '../support/names.ts'
import { onlyIf } from '../support/onlyIf.ts'
import { startPrometheus, isInstalled, type Prometheus } from '../support/prometheus.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'
import { until } from '../support/waiting.ts'
import { refusedHandshake, WebSocketPeer } from '../support/webSocketPeer.ts'

const MESSAGES = 300
const WEB_SOCKETS = 20
const LONG_POLLS = 5

/** A server with an endpoint for metrics, as in the documentation. */
async function startMonitored(redis: TestRedis): Promise<TestServer> {
  const register = new Registry()
  const server = await startServer(
    {
      redis: redis.url,
      limits: { channelsPerConnection: 2, authBytes: 1000 },
      canConnect: ({ user }) => user !== 'mallory',
      canSubscribe: (_auth, channel) => channel !== 'secret',
      checkOrigin: (req) => req.headers.origin !== 'https://evil.example',
    },
    {
      before: (app) =>
        void app.get('/metrics', async (_req, res) => {
          res.type(register.contentType).send(await register.metrics())
        }),
    },
  )
  prometheus(server.broadcaster, { register })
  return server
}

/** The samples of a scrape, by name and labels as they are in the text. */
async function scrape({ origin }: TestServer): Promise<(sample: string) => number> {
  const text = await (await fetch(`${origin}/metrics`)).text()
  const samples = new Map(
    [...text.matchAll(/^(broadcaster_[^ ]+) (\S+)$/gm)].map(([, name, value]) => [name, Number(value)]),
  )
  return (sample) => {
    const value = samples.get(`broadcaster_${sample}`)
    if (value === undefined) throw new Error(`There is no ${sample} in:\n${text}`)
    return value
  }
}

/** Clients of both transports get messages of two channels, others are refused, and some are cut off. */
async function load(server: TestServer): Promise<{ bytes: number; webSockets: WebSocketPeer[] }> {
  const channels = [channelName(), channelName()]
  const auth = { __v: 1 }
  const all = await Promise.all(
    Array.from({ length: WEB_SOCKETS + LONG_POLLS }, (_, i) =>
      signIn(server, { transport: i < WEB_SOCKETS ? 'websocket' : 'longpoll', auth }),
    ),
  )
  const positions = await Promise.all(
    all.map(async (peer) => {
      for (const channel of channels) await peer.subscribe(channel)
      const { reason } = await peer.subscribe(channelName())
      expect(reason).toBe('Too many channels')
      return peer
    }),
  )
  expect(positions).toHaveLength(WEB_SOCKETS + LONG_POLLS)
  const received = Promise.all(all.map((peer) => peer.take(2 * MESSAGES)))
  let bytes = 0
  for (let i = 0; i < MESSAGES; i++) {
    const body = `${i} \u20ac ${'x'.repeat(i)}`
    bytes += 2 * Buffer.byteLength(body)
    // Several messages are in flight, so some come in one turn of the event loop, and some do not.
    const published = channels.map((channel) => server.publish(channel, body))
    if (i % 10 === 0) await Promise.all(published)
  }
  const [first] = await received
  // One client comes back with its position, one with a position that nobody can read.
  const { position, channel } = first!.at(-1)!
  const again = await signIn(server, { transport: 'websocket', auth })
  expect(await again.subscribe(channel as string, { position })).toMatchObject({ recovered: true })
  const lost = await signIn(server, { transport: 'websocket', auth })
  expect(await lost.subscribe(channel as string, { position: '?' })).toMatchObject({ recovered: false })
  const mallory = await connect(server, { transport: 'websocket' })
  expect(await mallory.auth({ user: 'mallory' })).toMatchObject({ __type: 'authError' })
  const large = await connect(server, { transport: 'longpoll' })
  expect(await large.auth({ padding: 'x'.repeat(2000) })).toMatchObject({ __type: 'authError' })
  expect(await again.subscribe('secret')).toMatchObject({ __type: 'subscribeError' })
  expect((await refusedHandshake(server, { origin: 'https://evil.example' })).status).toBe(403)
  await new LongPollPeer(server).auth({ ...auth, __fallback: 1006 })
  return { bytes, webSockets: all.filter((peer) => peer instanceof WebSocketPeer) }
}

describe('under load, /metrics', () => {
  it('agrees with what clients and publishers did', async () => {
    const server = tidy(await startMonitored(tidy(await startRedis())))
    const { bytes, webSockets } = await load(server)
    const value = await scrape(server)
    expect(value('messages_received_total')).toBe(2 * MESSAGES)
    expect(value('received_bytes_total')).toBe(bytes)
    expect(value('deliveries_total{transport="websocket"}')).toBe(2 * MESSAGES * WEB_SOCKETS)
    expect(value('deliveries_total{transport="longpoll"}')).toBe(2 * MESSAGES * LONG_POLLS)
    expect(value('delivery_duration_seconds_count'), 'each message once').toBe(2 * MESSAGES)
    expect(value('delivery_duration_seconds_bucket{le="+Inf"}')).toBe(2 * MESSAGES)
    expect(value('delivery_duration_seconds_sum')).toBeGreaterThan(0)
    expect(value('connects_total{transport="websocket"}')).toBe(WEB_SOCKETS + 2)
    expect(value('connects_total{transport="longpoll"}')).toBe(LONG_POLLS + 1)
    expect(value('clients{transport="websocket"}')).toBe(WEB_SOCKETS + 2)
    expect(value('sessions')).toBe(LONG_POLLS + 1)
    expect(value('subscriptions{transport="websocket"}')).toBe(2 * WEB_SOCKETS + 2)
    expect(value('channels')).toBe(2)
    expect(value('log_messages')).toBe(2 * MESSAGES)
    expect(value('refusals_total{reason="auth"}')).toBe(2)
    expect(value('refusals_total{reason="origin"}')).toBe(1)
    expect(value('refusals_total{reason="channel"}')).toBe(WEB_SOCKETS + LONG_POLLS + 1)
    expect(value('limits_reached_total{limit="channelsPerConnection"}')).toBe(WEB_SOCKETS + LONG_POLLS)
    expect(value('limits_reached_total{limit="authBytes"}')).toBe(1)
    expect(value('recoveries_total{outcome="recovered"}')).toBe(1)
    expect(value('recoveries_total{outcome="expired"}')).toBe(1)
    expect(value('fallbacks_total{reason="error",code="1006"}')).toBe(1)
    expect(value('beacons_total{direction="received"}')).toBe(value('beacons_total{direction="sent"}'))
    expect(value('redis_up')).toBe(1)
    expect(value('healthy')).toBe(1)
    const sent = value('sent_bytes_total{transport="websocket"}')
    expect(sent, 'every body, to each client').toBeGreaterThan(bytes * WEB_SOCKETS)
    expect(sent).toBeLessThan(1.5 * (bytes + 2 * MESSAGES * 100) * WEB_SOCKETS)
    // Connections that break without a close, and clients that were never accepted, do not stay in the gauge.
    for (const peer of webSockets.slice(0, 5)) await peer.drop()
    await until('the gauge to go down', async () => {
      return (await scrape(server))('clients{transport="websocket"}') === WEB_SOCKETS + 2 - 5
    })
  })

  it('is answered while Redis is away, and counts the outage', async () => {
    const redis = tidy(await startRedis())
    const server = tidy(await startMonitored(redis))
    await redis.stop()
    await until('the outage', async () => (await scrape(server))('redis_up') === 0)
    const away = await scrape(server)
    expect(away('healthy')).toBe(0)
    expect(away('redis_outages_total')).toBe(1)
    await redis.start()
    await until('the end of the outage', async () => (await scrape(server))('redis_up') === 1)
    const back = await scrape(server)
    expect(back('redis_outages_total')).toBe(1)
    expect(back('redis_down_seconds_total')).toBeGreaterThan(0)
    expect(back('redis_down_seconds_total')).toBeGreaterThan(0)
  })

  it('counts the gap of each client, by its reason', async () => {
    const redis = tidy(await startRedis())
    const server = tidy(await startMonitored(redis))
    const channel = channelName()
    for (const transport of ['websocket', 'longpoll'] as const) {
      const alice = await signIn(server, { transport, auth: { __v: 1 } })
      await alice.subscribe(channel)
      await server.publish(channel, 'x'.repeat(1024 * 1024 + 1))
      expect(await alice.next()).toMatchObject({ __type: 'gap', reason: 'overflow' })
    }
    // The WebSocket got both gaps.
    expect((await scrape(server))('gaps_total{reason="overflow"}')).toBe(3)
    expect((await scrape(server))('limits_reached_total{limit="publishedBytes"}')).toBe(2)
  })
})

describe(
  'a real Prometheus',
  onlyIf(isInstalled, 'prometheus and promtool (Debian: apt-get install prometheus)'),
  () => {
    it('takes the endpoint, and evaluates every expression of the dashboard and of the alerts', async () => {
      const server = tidy(await startMonitored(tidy(await startRedis())))
      const monitor: Prometheus = tidy(await startPrometheus(server.origin))
      await monitor.scraped()
      await load(server)
      await monitor.scraped()
      for (const expression of await panelExpressions({ range: '1m' })) {
        const found = await monitor.query(expression)
        // Panels of what is usually 0 show only what is not.
        if (!expression.includes('> 0')) expect(found.length, expression).toBeGreaterThan(0)
      }
      const [deliveries] = await monitor.query('sum(increase(broadcaster_deliveries_total[5m]))')
      expect(Number(deliveries!.value)).toBeGreaterThan(0)
      for (const expression of (await alertExpressions()).values()) await monitor.query(expression)
    })

    it('accepts the alert rules, and their tests pass', async () => {
      const { promtool } = await import('../support/prometheus.ts')
      expect(await promtool('check', 'rules', 'alerts.yml')).toContain('SUCCESS')
      expect(await promtool('test', 'rules', 'alerts.test.yml')).toContain('SUCCESS')
    })
  },
)
