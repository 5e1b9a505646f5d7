import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import { once } from 'node:events'
import { createServer as createTlsServer } from 'node:tls'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Redis, type RedisOptions } from 'ioredis'
import { Redis as Redis5 } from 'ioredis5'
import { describe, expect, it } from 'vitest'
import { Authority, type Certificate, type CertificateOptions } from '../support/certificates.ts'
import { signIn } from '../support/connect.ts'
import { channelName } from '../support/names.ts'
import { startRedis, type TestRedis } from '../support/redis.ts'
import { freePort } from '../support/redisServer.ts'
import { startServer, type TestServer } from '../support/server.ts'
import { tcpProxy } from '../support/tcpProxy.ts'
import { tidy } from '../support/tidy.ts'
import { watchUncaught } from '../support/uncaught.ts'
import { until, within } from '../support/waiting.ts'
import { works } from '../support/works.ts'

const authority = await Authority.create()
const ca = authority.cert

type TlsRedis = TestRedis & {
  readonly tlsPort: number
  /** A server that is started again has this certificate. */
  use(certificate: Certificate): void
}

type Settings = CertificateOptions & { readonly mustClientsHaveOne?: boolean }

/** A real Redis with a port for TLS, and one without, which the tests use themselves. */
async function startTlsRedis({ mustClientsHaveOne = false, ...options }: Settings = {}): Promise<TlsRedis> {
  const dir = mkdtempSync(join(tmpdir(), 'broadcaster-tls-'))
  tidy({ stop: () => rmSync(dir, { recursive: true, force: true }) })
  const use = ({ cert, key }: Certificate) => {
    writeFileSync(join(dir, 'cert'), cert)
    writeFileSync(join(dir, 'key'), key)
  }
  use(await authority.issue(options))
  writeFileSync(join(dir, 'ca'), ca)
  let tlsPort = 0
  const args = async () => {
    tlsPort ||= await freePort()
    const files = ['--tls-cert-file', join(dir, 'cert'), '--tls-key-file', join(dir, 'key')]
    const clients = [
      '--tls-ca-cert-file',
      join(dir, 'ca'),
      '--tls-auth-clients',
      mustClientsHaveOne ? 'yes' : 'no',
    ]
    return ['--tls-port', String(tlsPort), ...files, ...clients]
  }
  const redis = tidy(await startRedis({ args }))
  return { ...redis, tlsPort, use }
}

const servesAll = async (server: TestServer, redis: TestRedis) => {
  await server.broadcaster.ready()
  await works({ ...server, publish: (channel, body) => redis.cli('PUBLISH', channel, body) })
}
const health = async (server: TestServer) => (await fetch(`${server.url}/health`)).status
const isUnhealthy = (server: TestServer) => until('health 503', async () => (await health(server)) === 503)
const isHealthy = (server: TestServer) => until('health 200', async () => (await health(server)) === 200)
const at = (port: number, tls: RedisOptions['tls']) => ({ host: '127.0.0.1', port, tls: tls! })
const starting = async (redis: RedisOptions) => tidy(await startServer({ redis }, { ready: false }))

describe('Redis with TLS', () => {
  it('works with the certificate of an authority of its own', async () => {
    const redis = await startTlsRedis()
    await servesAll(tidy(await startServer({ redis: at(redis.tlsPort, { ca }) })), redis)
  })

  it('works with a certificate for a name, when the address is another one', async () => {
    const redis = await startTlsRedis({ names: ['redis.internal'] })
    const options = at(redis.tlsPort, { ca, servername: 'redis.internal' })
    await servesAll(tidy(await startServer({ redis: options })), redis)
  })

  it('works without a check of the certificate', async () => {
    const redis = await startTlsRedis({ names: ['redis.internal'] })
    const options = at(redis.tlsPort, { rejectUnauthorized: false })
    await servesAll(tidy(await startServer({ redis: options })), redis)
  })

  it.each([
    ['ioredis 5', Redis5 as unknown as typeof Redis],
    ['ioredis 6', Redis],
  ])('works with an instance of %s', async (_, Client) => {
    const redis = await startTlsRedis()
    const client = new Client(at(redis.tlsPort, { ca }))
    tidy({ stop: () => client.disconnect() })
    await servesAll(tidy(await startServer({ redis: client })), redis)
  })

  it('works for pub/sub, with another Redis for the sessions', async () => {
    const [data, pubSub] = [tidy(await startRedis()), await startTlsRedis()]
    const server = tidy(await startServer({ redis: data.url, pubSub: at(pubSub.tlsPort, { ca }) }))
    await servesAll(server, pubSub)
  })

  it('works with a client certificate, if Redis wants one', async () => {
    const redis = await startTlsRedis({ mustClientsHaveOne: true })
    const own = await authority.issue()
    await servesAll(tidy(await startServer({ redis: at(redis.tlsPort, { ca, ...own }) })), redis)
  })

  it('continues when Redis comes back with a new certificate', async () => {
    const redis = await startTlsRedis()
    const server = tidy(await startServer({ redis: at(redis.tlsPort, { ca }) }))
    redis.use(await authority.issue())
    await redis.kill()
    await isUnhealthy(server)
    await redis.start()
    await isHealthy(server)
    await servesAll(server, redis)
  })

  it('R5: recovers the missed messages from another node when its connections break', async () => {
    const redis = await startTlsRedis()
    const proxy = tidy(await tcpProxy(redis.tlsPort))
    const servers = [
      tidy(await startServer({ redis: at(proxy.port, { ca }) })),
      tidy(await startServer({ redis: at(redis.tlsPort, { ca }) })),
    ]
    const channel = channelName()
    const auth = { __v: 1 }
    const [alice, bob] = await Promise.all(
      servers.map((server) => signIn(server, { transport: 'websocket', auth })),
    )
    await Promise.all([alice!, bob!].map((peer) => peer.subscribe(channel)))
    proxy.cut()
    for (let n = 1; n <= 20; n++) await redis.cli('PUBLISH', channel, String(n))
    for (const peer of [alice!, bob!]) {
      for (let n = 1; n <= 20; n++)
        expect(await peer.next()).toMatchObject({ __type: 'message', body: String(n) })
    }
  })

  it('notices connections that become half-open', async () => {
    const redis = await startTlsRedis()
    const proxy = tidy(await tcpProxy(redis.tlsPort))
    const server = tidy(await startServer({ redis: at(proxy.port, { ca }) }))
    proxy.swallow()
    await isUnhealthy(server)
    await isHealthy(server)
    await servesAll(server, redis)
  })
})

describe('ready() rejects, and says why,', () => {
  const rejects = async (redis: RedisOptions, reason: RegExp) => {
    const server = await starting(redis)
    const rejected = expect(within(server.broadcaster.ready(), 'ready() to reject')).rejects
    await rejected.toMatchObject({ code: 'brokerRefused', message: expect.stringMatching(reason) })
    expect(await health(server)).toBe(503)
  }

  it('if the authority is not known', async () => {
    await rejects(at((await startTlsRedis()).tlsPort, {}), /certificate of Redis .*tls: { ca }/)
  })

  it('if the certificate is for another name', async () => {
    const redis = await startTlsRedis({ names: ['other.internal'] })
    await rejects(at(redis.tlsPort, { ca }), /certificate of Redis .*IP: 127\.0\.0\.1/)
  })

  it('if the certificate has expired', async () => {
    const redis = await startTlsRedis({ notAfter: new Date(Date.now() - 1000) })
    await rejects(at(redis.tlsPort, { ca }), /certificate of Redis .*expired/)
  })

  it.each(['TLSv1.2', 'TLSv1.3'] as const)(
    'if Redis wants a client certificate, and the options have none, with %s',
    async (version) => {
      const redis = await startTlsRedis({ mustClientsHaveOne: true })
      const options = at(redis.tlsPort, { ca, maxVersion: version, minVersion: version })
      await rejects(options, /^Redis refuses the TLS handshake \([^:]*\): .*tls: { cert, key }/)
    },
  )

  it.each([
    ['another authority', 'Another authority'],
    ['another authority of the same name', undefined],
  ])('if the client certificate is of %s', async (_, name) => {
    const redis = await startTlsRedis({ mustClientsHaveOne: true })
    const foreign = await (await Authority.create(name)).issue()
    await rejects(
      at(redis.tlsPort, { ca, ...foreign }),
      /^Redis refuses the TLS handshake .*tls: { cert, key }/,
    )
  })
})

describe('a server on the other end that does not speak TLS, or not Redis,', () => {
  /** The node stays, is unhealthy, says what is wrong, and connects when Redis is there. */
  async function waits(options: RedisOptions): Promise<TestServer> {
    const uncaught = watchUncaught()
    const server = await starting(options)
    await server.logs.waitFor(/Redis/)
    await isUnhealthy(server)
    expect(uncaught).toEqual([])
    return server
  }

  it('is a Redis without TLS, with TLS in the options', async () => {
    await waits(at(tidy(await startRedis()).port, { ca }))
  })

  it('is a Redis with TLS, without TLS in the options', async () => {
    await waits({ host: '127.0.0.1', port: (await startTlsRedis()).tlsPort })
  })

  it('is a web server with TLS, which answers with HTTP', async () => {
    const web = createTlsServer(await authority.issue(), (socket) => {
      socket.on('error', () => {})
      socket.end('HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n')
    }).listen(0, '127.0.0.1')
    tidy({ stop: () => web.close() })
    await once(web, 'listening')
    await waits(at((web.address() as AddressInfo).port, { ca }))
  })

  it('cuts every handshake after some bytes, and then lets them through', async () => {
    const redis = await startTlsRedis()
    let cutAfterBytes = 0
    const links = new Set<net.Socket>()
    const gateway = net.createServer((from) => {
      const to = net.connect(redis.tlsPort, '127.0.0.1')
      const limit = cutAfterBytes++
      let bytes = 0
      for (const socket of [from, to]) {
        links.add(socket)
        socket.on('error', () => {}).on('close', () => (from.destroy(), to.destroy()))
      }
      from.on('data', (data) => to.write(data))
      to.on('data', (data) => {
        bytes += data.length
        // Each handshake is cut a little later, with a reset or in the middle of a record.
        const rest = limit * 97 - (bytes - data.length)
        if (limit >= 24 || rest >= data.length) from.write(data)
        else if (limit % 2 === 0) from.resetAndDestroy()
        else from.end(data.subarray(0, Math.max(0, rest)))
      })
    })
    gateway.listen(0, '127.0.0.1')
    tidy({ stop: () => (gateway.close(), links.forEach((socket) => socket.destroy())) })
    await once(gateway, 'listening')
    const uncaught = watchUncaught()
    const server = await starting(at((gateway.address() as AddressInfo).port, { ca }))
    await within(server.broadcaster.ready(), 'the handshakes to succeed')
    await servesAll(server, redis)
    expect(cutAfterBytes).toBeGreaterThan(24)
    expect(uncaught).toEqual([])
  })
})
