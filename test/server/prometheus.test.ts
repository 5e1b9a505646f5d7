import { broadcaster, BroadcasterError } from '@broadcaster/server'
import { prometheus } from '@broadcaster/server/prometheus'
import express from 'express'
import { Counter, Registry, register as globalRegister } from 'prom-client'
import { Registry as Registry14 } from 'prom-client14'
import { afterEach, describe, expect, it } from 'vitest'
import { signIn } from '../support/connect.ts'
import { channelName } from '../support/names.ts'
import { listen, startServer } from '../support/server.ts'
import { tidy } from '../support/tidy.ts'

const start = async () => tidy(await startServer())

/** The names in the text of a scrape. */
const names = (text: string) => [...text.matchAll(/^# TYPE (\S+)/gm)].map(([, name]) => name!)
const ours = (text: string) => names(text).filter((name) => name.startsWith('broadcaster_'))

afterEach(() => globalRegister.clear())

describe('prometheus()', () => {
  it('uses the global register, beside other metrics', async () => {
    new Counter({ name: 'orders_total', help: 'Orders' })
    const server = await start()
    prometheus(server.broadcaster)
    const text = await globalRegister.metrics()
    expect(names(text)).toContain('orders_total')
    expect(text).toContain('broadcaster_clients{transport="websocket"} 0\n')
    expect(text).toContain('broadcaster_delivery_duration_seconds_bucket{le="+Inf"} 0\n')
  })

  it.each([
    ['prom-client 15', () => new Registry()],
    ['prom-client 14, another copy than the one that is imported', () => new Registry14()],
  ])('uses a register of %s, in every way to read it', async (_, makeRegister) => {
    const server = await start()
    const register = makeRegister()
    prometheus(server.broadcaster, { register })
    await signIn(server, { transport: 'websocket' })
    const line = 'broadcaster_clients{transport="websocket"} 1'
    expect(await register.metrics()).toContain(line)
    expect(await register.getSingleMetricAsString('broadcaster_clients')).toContain(line)
    const json = await register.getMetricsAsJSON()
    expect(json.find(({ name }) => name === 'broadcaster_connects_total')).toMatchObject({
      type: 'counter',
      values: [
        { labels: { transport: 'websocket' }, value: 1 },
        { labels: { transport: 'longpoll' }, value: 0 },
      ],
    })
  })

  it('shows every value that a label can have from the start, so that the first increase is seen', async () => {
    const server = await start()
    const register = new Registry()
    prometheus(server.broadcaster, { register })
    const text = await register.metrics()
    expect(text).toContain('broadcaster_limits_reached_total{limit="connections"} 0\n')
    expect(text).toContain('broadcaster_fallbacks_total{reason="error",code="1006"} 0\n')
    expect(text).toContain('broadcaster_gaps_total{reason="broker"} 0\n')
  })

  it('is valid as OpenMetrics, with default labels, and merged with another register', async () => {
    const server = await start()
    const register = new Registry<typeof Registry.OPENMETRICS_CONTENT_TYPE>()
    register.setContentType(Registry.OPENMETRICS_CONTENT_TYPE)
    register.setDefaultLabels({ app: 'shop' })
    prometheus(server.broadcaster, { register })
    for (const text of [await register.metrics(), await Registry.merge([register as never]).metrics()]) {
      expect(text).toContain('# TYPE broadcaster_connects counter\nbroadcaster_connects_total{')
      expect(text).not.toContain('_total_total')
      expect(text.endsWith('# EOF\n')).toBe(true)
    }
    expect(await register.metrics()).toContain('broadcaster_channels{app="shop"} 0')
  })

  it('has a prefix', async () => {
    const server = await start()
    const register = new Registry()
    prometheus(server.broadcaster, { register, prefix: 'chat_' })
    const text = await register.metrics()
    expect(ours(text)).toEqual([])
    expect(text).toContain('chat_channels 0')
  })

  it('adds nothing when it is called twice', async () => {
    const server = await start()
    const register = new Registry()
    const stop = prometheus(server.broadcaster, { register })
    expect(prometheus(server.broadcaster, { register })).toBe(stop)
    await signIn(server, { transport: 'websocket' })
    expect(await register.metrics()).toContain('broadcaster_connects_total{transport="websocket"} 1\n')
    stop()
    expect(await register.metrics()).toBe('\n')
    stop()
    prometheus(server.broadcaster, { register })
    stop()
    expect(ours(await register.metrics()), 'an old function does not stop what came later').not.toEqual([])
  })

  it('adds the metrics again after register.clear(), and resetMetrics() resets nothing', async () => {
    const server = await start()
    const register = new Registry()
    prometheus(server.broadcaster, { register })
    await signIn(server, { transport: 'websocket' })
    register.clear()
    expect(await register.metrics()).toBe('\n')
    prometheus(server.broadcaster, { register })
    register.resetMetrics()
    expect(await register.metrics()).toContain('broadcaster_connects_total{transport="websocket"} 1\n')
  })

  it('leaves a metric of the application alone that has one of its names', async () => {
    const server = await start()
    const register = new Registry()
    const own = new Counter({ name: 'broadcaster_gaps_total', help: 'Other gaps', registers: [register] })
    expect(() => prometheus(server.broadcaster, { register })).toThrow(
      /broadcaster_gaps_total: give a prefix/,
    )
    expect(names(await register.metrics())).toEqual(['broadcaster_gaps_total'])
    expect(register.getSingleMetric('broadcaster_gaps_total')).toBe(own)
  })

  it('keeps several broadcasters of a process apart by their names', async () => {
    const [one, two] = [await start(), await start()]
    const register = new Registry()
    prometheus(one.broadcaster, { register, name: 'news' })
    expect(() => prometheus(two.broadcaster, { register, name: 'news' })).toThrow(/has the name "news"/)
    expect(() => prometheus(one.broadcaster, { register })).toThrow(
      /exported already; it has the name "news"/,
    )
    prometheus(two.broadcaster, { register, name: 'chat' })
    await signIn(two, { transport: 'websocket' })
    const text = await register.metrics()
    expect(text).toContain('broadcaster_clients{broadcaster="news",transport="websocket"} 0\n')
    expect(text).toContain('broadcaster_clients{broadcaster="chat",transport="websocket"} 1\n')
    expect(text).toContain('_bucket{le="+Inf",broadcaster="chat"} 0\n')
    expect(new Set(names(text)).size, 'each has one TYPE line').toBe(names(text).length)
    await one.broadcaster.close()
    const rest = await register.metrics()
    expect(rest).not.toContain('broadcaster="news"')
    expect(rest).toContain('broadcaster="chat"')
  })

  it('two broadcasters without names are an error, and names are free again after close()', async () => {
    const [one, two] = [await start(), await start()]
    const register = new Registry()
    prometheus(one.broadcaster, { register })
    expect(() => prometheus(two.broadcaster, { register })).toThrow(/another broadcaster has no name/)
    await one.broadcaster.close()
    expect(await register.metrics()).toBe('\n')
    prometheus(two.broadcaster, { register })
    expect(ours(await register.metrics())).not.toEqual([])
  })

  it('refuses what is no broadcaster, a closed one, and bad options', async () => {
    const server = await start()
    const bad = (call: () => unknown) => {
      try {
        call()
      } catch (error) {
        return error
      }
      throw new Error('Nothing was thrown')
    }
    for (const live of [undefined, null, express(), {}])
      expect(bad(() => prometheus(live as never))).toMatchObject({
        code: 'invalidOption',
        message: expect.stringContaining('expected what broadcaster() returns'),
      })
    for (const options of [
      { prefix: 'a b' },
      { prefix: '1a' },
      { prefix: 5 },
      { prefix: null },
      { name: '' },
      { name: 5 },
      { register: {} },
      { register: null },
    ])
      expect(bad(() => prometheus(server.broadcaster, options as never))).toBeInstanceOf(BroadcasterError)
    await server.broadcaster.close()
    expect(bad(() => prometheus(server.broadcaster))).toMatchObject({ code: 'closed' })
  })

  it('is scraped without Redis, before the broadcaster is ready', async () => {
    const live = broadcaster({ redis: 'redis://127.0.0.1:1', logger: (await start()).logs.logger })
    await listen((await import('node:http')).createServer(express().use('/broadcast', live)), live)
    const register = new Registry()
    prometheus(live, { register })
    const text = await register.metrics()
    expect(text).toContain('broadcaster_redis_up 0\n')
    expect(text).toContain('broadcaster_healthy 0\n')
  })

  it('measures the delivery of messages only while it is exported', async () => {
    const server = await start()
    const alice = await signIn(server, { transport: 'websocket' })
    const channel = channelName()
    await alice.subscribe(channel)
    const deliver = async () => {
      await server.publish(channel, 'x')
      await alice.next()
    }
    await deliver()
    const register = new Registry()
    const stop = prometheus(server.broadcaster, { register })
    await deliver()
    await deliver()
    const count = async () =>
      /^broadcaster_delivery_duration_seconds_count (\d+)$/m.exec(await register.metrics())?.[1]
    expect(await count()).toBe('2')
    stop()
    await deliver()
    prometheus(server.broadcaster, { register })
    expect(await count()).toBe('0')
  })
})
