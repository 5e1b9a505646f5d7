import { RawClient } from './rawClient.ts'
import { localAddress } from './address.ts'

/** The parameters of an abuser. */
export interface Abuse {
  readonly port: number
  /** The number of the abuser within its kind. Abusers of one kind have different addresses. */
  readonly number: number
  isOver(): boolean
  /** Counts an event for the report. */
  count(what: string): void
  sleep(ms: number): Promise<void>
}

/** The channels for abusers. The logs of {@link KEPT_CHANNELS} are full from the beginning. */
export const BUSY_CHANNEL = 'busy'
export const LARGE_CHANNEL = 'large'
export const KEPT_CHANNELS: readonly string[] = Array.from({ length: 100 }, (_, i) => `kept-${i}`)

const PATH = '/live'

type Kind = {
  /** The limit that it reaches. */
  readonly limit: string
  /** The number of abusers at the same time. */
  readonly abusers: number
  run(abuse: Abuse): Promise<void>
}

/** Each kind reaches one or two limits. Together they reach all limits. */
export const kinds: Readonly<Record<string, Kind>> = {
  'sockets that never authenticate': {
    limit: 'authTimeout, unauthenticated sockets',
    abusers: 400,
    run: (abuse) => again(abuse, async (client) => void (await client.ask(PATH, {}))),
  },
  'handshakes that never end': {
    limit: 'time of a handshake',
    abusers: 100,
    run: (abuse) => again(abuse, async (client) => client.write(`GET ${PATH} HTTP/1.1\r\nHost: a\r\n`)),
  },
  'half a body': {
    limit: 'messageBytes, time of a body',
    abusers: 200,
    run: (abuse) =>
      again(abuse, async (client) => {
        client.write(`POST ${PATH} HTTP/1.1\r\nHost: a\r\nContent-Length: 60000\r\n\r\n`)
        client.write('x'.repeat(50_000))
      }),
  },
  'half a frame': {
    limit: 'messageBytes',
    abusers: 200,
    run: (abuse) =>
      again(abuse, async (client) => {
        await authenticated(client)
        const header = Buffer.from([0x81, 0xfe, 60_000 >> 8, 60_000 & 0xff, 0, 0, 0, 0])
        client.write(Buffer.concat([header, Buffer.alloc(50_000, 'x')]))
      }),
  },
  'a reader that never reads': {
    limit: 'bufferedBytes of one and of all, lagging readers',
    abusers: 300,
    run: (abuse) =>
      again(abuse, async (client) => {
        await authenticated(client)
        client.stopReading()
        client.frame({ __type: 'subscribe', channel: BUSY_CHANNEL })
      }),
  },
  'a reader that never reads and hangs up': {
    limit: 'bufferedBytes of one and of all',
    abusers: 100,
    run: (abuse) =>
      again(abuse, async (client) => {
        await authenticated(client)
        client.stopReading()
        client.frame({ __type: 'subscribe', channel: BUSY_CHANNEL })
        await abuse.sleep(2000 + Math.random() * 6000)
        // The answers come on top of the messages that wait.
        const channel = 'n'.repeat(400)
        for (let i = 0; i < 50; i++) client.frame({ __type: 'unsubscribe', channel: channel + i })
        client.halfClose()
        await abuse.sleep(2000)
        client.end()
      }),
  },
  'replays that nobody reads': {
    limit: 'bufferedBytes, bytes of a replay',
    abusers: 50,
    run: (abuse) =>
      again(abuse, async (client) => {
        await authenticated(client)
        const positions = await client.positions(KEPT_CHANNELS)
        client.stopReading()
        for (const channel of KEPT_CHANNELS) client.frame({ __type: 'unsubscribe', channel })
        await abuse.sleep(5000)
        // This sends 20 requests a second, which is less than the limit.
        while (client.isOpen && !abuse.isOver()) {
          for (const [channel, position] of positions) {
            client.frame({ __type: 'subscribe', channel, position })
            client.frame({ __type: 'unsubscribe', channel })
            await abuse.sleep(100)
            if (!client.isOpen || abuse.isOver()) break
          }
          if (positions.size === 0) return client.end()
        }
      }),
  },
  'polls that nobody reads': {
    limit: 'answerBytes, unread answers',
    abusers: 50,
    run: (abuse) =>
      again(abuse, async (client) => {
        const token = await session(client)
        if (token === null) return client.end()
        for (const channel of [...KEPT_CHANNELS.slice(0, 30), BUSY_CHANNEL]) {
          await post(abuse, { __type: 'subscribe', channel, __token: token })
          if (abuse.isOver()) return
        }
        for (let seq = 1; client.isOpen && !abuse.isOver(); seq++) {
          const poll = await RawClient.connect(abuse.port, localAddress(abuse.number))
          poll.stopReading()
          const body = JSON.stringify({ __type: 'poll', seq: String(seq), __token: token })
          poll.write(`POST ${PATH} HTTP/1.1\r\nHost: a\r\nContent-Length: ${body.length}\r\n\r\n${body}`)
          void abuse.sleep(20_000).then(() => poll.end())
          await abuse.sleep(1000)
        }
      }),
  },
  'frames without a pause': {
    limit: 'requestsPerSecond',
    abusers: 20,
    run: (abuse) =>
      again(abuse, async (client) => {
        await authenticated(client)
        client.readAndForget()
        while (client.isOpen && !abuse.isOver()) {
          for (let i = 0; i < 50; i++) client.frame({ __type: 'ping' })
          await abuse.sleep(20)
        }
      }),
  },
  'new names without end': {
    limit: 'new channels of one client, channels of a node',
    abusers: 20,
    run: (abuse) =>
      again(abuse, async (client) => {
        await authenticated(client)
        client.readAndForget()
        for (let i = 0; client.isOpen && !abuse.isOver(); i++) {
          const channel = `${abuse.number}-${i}-${'n'.repeat(400)}`
          client.frame({ __type: 'subscribe', channel })
          client.frame({ __type: 'unsubscribe', channel })
          if (i % 10 === 9) await abuse.sleep(50)
        }
      }),
  },
  'requests behind slow callbacks': {
    limit: 'requests at work',
    abusers: 50,
    run: (abuse) =>
      again(abuse, async (client) => {
        await client.ask(PATH, {})
        client.readAndForget()
        client.frame({ __type: 'auth', slow: true })
        for (let i = 0; client.isOpen && !abuse.isOver(); i++) {
          client.frame({ __type: 'subscribe', channel: `slow-${i % 50}`, padding: 'x'.repeat(10_000) })
          if (i % 20 === 19) await abuse.sleep(100)
        }
      }),
  },
  'sessions without end': {
    limit: 'sessions in all',
    abusers: 20,
    run: async (abuse) => {
      while (!abuse.isOver()) {
        await post(abuse, { __type: 'auth', padding: 'x'.repeat(8000) })
        await abuse.sleep(20)
      }
    },
  },
  'sessions with long names': {
    limit: 'names of one session',
    abusers: 10,
    run: (abuse) =>
      again(abuse, async (client) => {
        const token = await session(client)
        if (token === null) return client.end()
        for (let i = 0; !abuse.isOver(); i++) {
          const channel = `${abuse.number}-${i % 1000}-${'l'.repeat(480)}`
          await post(abuse, { __type: 'subscribe', channel, __token: token })
          await post(abuse, { __type: 'ping', __token: token })
        }
      }),
  },
  'refused origins': {
    limit: 'log lines',
    abusers: 10,
    run: async (abuse) => {
      while (!abuse.isOver()) {
        const client = await RawClient.connect(abuse.port, localAddress(abuse.number))
        abuse.count(`answer ${await client.ask(PATH, { Origin: 'https://evil.example' })}`)
        client.end()
        await abuse.sleep(20)
      }
    },
  },
  'refused logins': {
    limit: 'log lines',
    abusers: 10,
    run: async (abuse) => {
      while (!abuse.isOver()) {
        await post(abuse, { __type: 'auth', deny: true })
        await abuse.sleep(20)
      }
    },
  },
  'more connections than one address may have': {
    limit: 'connectionsPerAddress',
    abusers: 1200,
    run: (abuse) =>
      again({ ...abuse, number: 0 }, async (client) => {
        await authenticated(client)
        client.readAndForget()
      }),
  },
}

/** Connects repeatedly. Each connection lasts until the server ends it. */
async function again(abuse: Abuse, act: (client: RawClient) => Promise<void>): Promise<void> {
  while (!abuse.isOver()) {
    const client = await RawClient.connect(abuse.port, localAddress(abuse.number))
    abuse.count('connections')
    await act(client)
    if (client.answer !== '') abuse.count(`answer ${client.answer.slice(9, 12)}`)
    while (client.isOpen && !abuse.isOver()) await Promise.race([client.closed, abuse.sleep(250)])
    client.end()
    // Without this pause, a client that is refused at once would make this process the bottleneck.
    await abuse.sleep(500)
  }
}

async function authenticated(client: RawClient): Promise<void> {
  await client.ask(PATH, {})
  client.frame({ __type: 'auth', __v: 1 })
}

async function session(client: RawClient): Promise<string | null> {
  await client.ask(PATH, {}, JSON.stringify({ __type: 'auth', __v: 1 }))
  return /"__token":"([^"]+)"/.exec(client.answer)?.[1] ?? null
}

/** Sends a request on a new connection and reads the answer. */
async function post(abuse: Abuse, message: object): Promise<void> {
  const client = await RawClient.connect(abuse.port, localAddress(abuse.number))
  abuse.count(`answer ${await client.ask(PATH, { Connection: 'close' }, JSON.stringify(message))}`)
  client.end()
}
