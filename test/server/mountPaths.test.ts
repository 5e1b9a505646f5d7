import http from 'node:http'
import { broadcaster, type Broadcaster } from '@broadcaster/server'
import express, { type Express } from 'express'
import express4 from 'express4'
import { describe, expect, it } from 'vitest'
import { handshake, RawSocket, request } from '../support/rawSocket.ts'
import { listen } from '../support/server.ts'
import { works } from '../support/works.ts'

type Framework = typeof express

/** For each request target, whether it reaches the broadcaster. */
type Targets = Record<string, boolean>

/** Ways to mount a broadcaster, with the targets that reach it. */
const mounts: [
  what: string,
  mount: (app: Express, live: Broadcaster, framework: Framework) => void,
  Targets,
][] = [
  [
    'at a path',
    (app, live) => app.use('/broadcast', live),
    {
      '/broadcast': true,
      '/broadcast/': true,
      '/broadcast?a=/b': true,
      '/BroadCast': true,
      '/broadcasting': false,
      '/broadcast/below': false,
      '/below/broadcast': false,
      '/%62roadcast': false,
      '//broadcast': false,
      '/': false,
    },
  ],
  [
    'at a path with a slash at its end',
    (app, live) => app.use('/broadcast/', live),
    { '/broadcast': true, '/broadcast/': true, '/broadcast/below': false },
  ],
  ['at the root', (app, live) => app.use(live), { '/': true, '/?a=b': true, '/below': false }],
  [
    'where case matters',
    (app, live) => app.enable('case sensitive routing').use('/broadcast', live),
    { '/broadcast': true, '/Broadcast': false },
  ],
  [
    'at a path that is not ASCII',
    (app, live) => app.use(encodeURI('/café'), live),
    { '/caf%C3%A9': true, '/caf%c3%a9': true, '/cafe': false },
  ],
  [
    'at a path with dots and dashes',
    (app, live) => app.use('/v1.0/live-updates', live),
    { '/v1.0/live-updates': true, '/v1x0/live-updates': false },
  ],
  ['at several paths', (app, live) => app.use(['/a', '/b/'], live), { '/a': true, '/b': true, '/c': false }],
  [
    'twice',
    (app, live) => app.use('/a', live).use('/b', live),
    { '/a': true, '/b': true, '/a/b': false, '/c': false },
  ],
  [
    'at a pattern with parameters',
    (app, live) => app.use('/:tenant/live', live),
    { '/acme/live': true, '/acme/live/': true, '/live': false, '/acme/other': false },
  ],
  [
    'at a RegExp',
    (app, live) => app.use(/^\/(v1|v2)\/live/, live),
    { '/v1/live': true, '/v2/live': true, '/v3/live': false },
  ],
  [
    'at a path and a pattern',
    (app, live) => app.use(['/live', '/:tenant/live'], live),
    { '/live': true, '/acme/live': true, '/acme': false },
  ],
  [
    'in a Router',
    (app, live, framework) => app.use('/api', framework.Router().use('/live', live)),
    { '/api/live': true, '/api': false, '/live': false },
  ],
  [
    'in a Router with parameters',
    (app, live, framework) => app.use('/:tenant', framework.Router().use('/live', live)),
    { '/acme/live': true, '/acme': false },
  ],
  [
    'in an application in an application',
    (app, live, framework) => app.use('/outer', framework().use('/inner', framework().use('/live', live))),
    { '/outer/inner/live': true, '/OUTER/inner/live': true, '/inner/live': false, '/live': false },
  ],
  [
    'in an application that was mounted before',
    (app, live, framework) => {
      const inner = framework()
      app.use('/inner/', inner)
      inner.use('/live', live)
    },
    { '/inner/live': true, '/live': false },
  ],
  [
    'in an application at several paths',
    (app, live, framework) => app.use(['/a', '/b'], framework().use('/live', live)),
    { '/a/live': true, '/b/live': true, '/c/live': false },
  ],
  [
    'in an application in a Router',
    (app, live, framework) =>
      app.use('/api', framework.Router().use('/inner', framework().use('/live', live))),
    { '/api/inner/live': true, '/inner/live': false, '/live': false },
  ],
]

const THEIRS = 418

/** An application on a server. Unless `isAlone`, another listener answers every upgrade that it gets. */
async function serve(
  mount: (app: Express, live: Broadcaster) => void,
  framework: Framework,
  isAlone: boolean,
) {
  const app = framework()
  const live = broadcaster({ redis: false, pollTime: 20 })
  mount(app, live)
  const server = http.createServer(app)
  live.attach(server)
  if (!isAlone) {
    server.on('upgrade', (_req, socket) => socket.end(`HTTP/1.1 ${THEIRS} Theirs\r\n\r\n`))
  }
  return { live, url: await listen(server, live) }
}

async function statuses(at: { url: string }, target: string) {
  const [socket, poll] = [await RawSocket.open(at), await RawSocket.open(at)]
  socket.write(handshake(target))
  poll.write(request(`POST ${target}`, {}, '{"__type":"auth"}'))
  return { websocket: await socket.status(), longpoll: await poll.status() }
}

describe.each([
  ['Express 5', express],
  ['Express 4', express4],
] as const)('%s', (_, framework) => {
  describe.each([
    ['alone', true],
    ['beside another WebSocket server', false],
  ])('%s', (_, isAlone) => {
    it.each(mounts)(
      'L10: serves both transports at the paths where it is mounted, not below: %s',
      async (_, mount, targets) => {
        const at = await serve((app, live) => void mount(app, live, framework), framework, isAlone)
        const here = { websocket: 101, longpoll: 200 }
        const elsewhere = { websocket: isAlone ? 404 : THEIRS, longpoll: 404 }
        for (const [target, isHere] of Object.entries(targets)) {
          expect(await statuses(at, target), target).toEqual(isHere ? here : elsewhere)
          // The absolute form, as in a request to a proxy.
          const absolute = `http://localhost${target}`
          expect(await statuses(at, absolute), absolute).toEqual(isHere ? here : elsewhere)
          const { live, url } = at
          if (isHere) await works({ url: url + target, publish: (...message) => live.publish(...message) })
        }
      },
    )

    it('learns an unknown mount path from the first request to it', async () => {
      const at = await serve(
        (app, live) => void app.use('/known', live).use(framework.Router().use('/unknown', live)),
        framework,
        isAlone,
      )
      expect((await statuses(at, '/known')).websocket).toBe(101)
      const socket = await RawSocket.open(at)
      socket.write(handshake('/unknown'))
      expect(await socket.status()).toBe(isAlone ? 101 : THEIRS)
      // As our client does, this continues with long-poll and tries a WebSocket again later.
      expect((await statuses(at, '/unknown')).longpoll).toBe(200)
      expect(await statuses(at, '/unknown')).toEqual({ websocket: 101, longpoll: 200 })
    })

    it.each(['/broadcast//', '/broadcast//below', '/a//broadcast', '/a//broadcast/'])(
      'treats both transports alike at %s',
      async (target) => {
        const inner = framework()
        const at = await serve(
          (app, live) => void app.use('/broadcast', live).use('/a', inner.use('/broadcast', live)),
          framework,
          isAlone,
        )
        const { websocket, longpoll } = await statuses(at, target)
        expect(websocket === 101).toBe(longpoll === 200)
      },
    )
  })

  it('leaves the upgrades of another WebSocket server alone in an application in an application: its middleware does not see them', async () => {
    const seen: string[] = []
    const mount = (app: Express, live: Broadcaster) => {
      app.use((req, _res, next) => {
        seen.push(req.url)
        next()
      })
      app.use('/outer', framework().use('/inner', framework().use('/live', live)))
    }
    const at = await serve(mount, framework, false)
    const socket = await RawSocket.open(at)
    socket.write(handshake('/theirs'))
    expect(await socket.status()).toBe(THEIRS)
    expect(seen).toEqual([])
  })
})
