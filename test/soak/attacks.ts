import { Random } from '../simulation/random.ts'
import { frames, textFrame } from './frames.ts'
import { auth, goodAuth, message, poll, subscribe } from './messages.ts'
import { handshakeHeaders, mounts, others, plainRequest, request, routes, target } from './requests.ts'
import { bytes, channelName, tokenPlaces } from './words.ts'

/** A step of a connection. */
export type Step =
  | { readonly do: 'send'; readonly bytes: Buffer }
  /** Waits for any data, for a short time. */
  | { readonly do: 'await an answer' }
  | { readonly do: 'wait'; readonly ms: number }
  | { readonly do: 'stop reading' }
  | { readonly do: 'read on' }
  | Ending

export type Ending =
  /** A TCP reset. */
  | { readonly do: 'reset' }
  | { readonly do: 'destroy' }
  /** Sends a FIN, and reads the remaining data. */
  | { readonly do: 'half-close' }
  /** Neither reads nor closes any more, like a client that has lost its network. */
  | { readonly do: 'vanish' }

export type Attack = {
  readonly kind: AttackKind
  readonly steps: readonly Step[]
  /** Whether only the kit and Node handle the connection. Then the server has to end it if the client vanishes. */
  readonly isOurs: boolean
}

/** The kinds of attacks with their weights. */
const weights = {
  request: 8,
  pipeline: 5,
  'upgrade behind a poll': 3,
  'upgrade behind a route': 3,
  'upgrade to others': 4,
  'upgrade to us': 3,
  websocket: 12,
  'slow reader': 2,
  'long-poll': 8,
  'body in pieces': 4,
  slowloris: 1,
  preflight: 2,
  neighbour: 3,
  garbage: 1,
} as const

export type AttackKind = keyof typeof weights
export const attackKinds = Object.keys(weights) as AttackKind[]

/** The attack of this number. It depends only on the seed and the number. */
export function makeAttack(seed: number, number: number, only?: readonly AttackKind[]): Attack {
  const random = new Random(seed * 2 ** 32 + number)
  const kind = only === undefined ? random.weighted(weights) : random.pick(only)
  const steps = makers[kind](random)
  const ending: Ending = {
    do: random.weighted({ reset: 5, destroy: 3, 'half-close': 3, vanish: kind === 'slow reader' ? 6 : 2 }),
  }
  // The connection can end after any step.
  const isEarly = random.chance(0.15)
  const shown = isEarly ? steps.slice(0, random.between(1, steps.length)) : steps
  return {
    kind,
    steps: [...shown, ending],
    isOurs: kind === 'websocket' || kind === 'slow reader' || kind === 'slowloris',
  }
}

const answer: Step = { do: 'await an answer' }

const makers: Record<AttackKind, (random: Random) => Step[]> = {
  request: (random) => [...inPieces(random, request(random)), answer],

  pipeline: (random) => {
    const requests = Array.from({ length: random.between(2, 5) }, () =>
      random.chance(0.6) ? request(random) : plainRequest('GET', random.pick(routes)),
    )
    if (random.chance(0.5)) requests.push(upgrade(random, target(random)))
    if (random.chance(0.3)) requests.push(plainRequest('POST', random.pick(mounts), message(random)))
    return [...maybeTogether(random, requests), answer, ...pause(random)]
  },

  'upgrade behind a poll': (random) => {
    const mount = random.pick(mounts)
    return [
      ...session(random, mount),
      ...maybeTogether(random, [
        post(mount, { __type: 'poll', seq: '1' }),
        upgrade(random, random.chance(0.7) ? mount : random.pick(others)),
        ...(random.chance(0.3) ? [frames(random), plainRequest('POST', mount, message(random))] : []),
      ]),
      ...pause(random),
      answer,
    ]
  },

  'upgrade behind a route': (random) => [
    ...maybeTogether(random, [
      plainRequest('GET', random.pick(['/never', '/late', '/large', '/hello'])),
      upgrade(random, random.chance(0.7) ? random.pick(mounts) : target(random)),
      ...(random.chance(0.3) ? [frames(random)] : []),
    ]),
    answer,
    ...pause(random),
  ],

  'upgrade to others': (random) => {
    const path = random.chance(0.5) ? random.pick(others) : random.pick(routes)
    // curl and Java offer HTTP/2 with the first request of a connection. Other clients may offer it with each request.
    const asked = random.chance(0.2) ? Array.from({ length: 12 }, () => h2c(random)) : [upgrade(random, path)]
    return [{ do: 'send', bytes: Buffer.concat(asked) }, ...(random.chance(0.5) ? [answer] : pause(random))]
  },

  'upgrade to us': (random) => [
    ...inPieces(
      random,
      request(random, { method: 'GET', target: target(random), headers: handshakeHeaders(random) }),
    ),
    ...(random.chance(0.3) ? [{ do: 'stop reading' } as const] : [answer]),
    ...(random.chance(0.5) ? [{ do: 'send', bytes: frames(random) } as const] : []),
    ...pause(random),
  ],

  websocket: (random) => {
    const first = textFrame(JSON.stringify(random.chance(0.8) ? goodAuth(random) : auth(random)))
    const later = Array.from({ length: random.between(0, 12) }, () =>
      random.chance(0.4) ? textFrame(JSON.stringify(subscribe(random))) : frames(random),
    )
    const open = request(random, {
      method: 'GET',
      target: random.pick(mounts),
      headers: handshakeHeaders(random, true),
    })
    return [
      // All steps in one packet, or one after the other like ordinary clients.
      ...(random.chance(0.2)
        ? [{ do: 'send', bytes: Buffer.concat([open, first, ...later]) } as const]
        : [
            ...inPieces(random, open),
            answer,
            ...inPieces(random, first),
            answer,
            ...maybeTogether(random, later),
          ]),
      answer,
      ...pause(random),
    ]
  },

  'slow reader': (random) => {
    const subscribes = ['flood', ...Array.from({ length: 3 }, () => channelName(random))].map((channel) =>
      textFrame(JSON.stringify({ __type: 'subscribe', channel })),
    )
    return [
      {
        do: 'send',
        bytes: plainRequest(
          'GET',
          random.pick(['/live', '/memory', '/router/a/deep']),
          '',
          handshakeHeaders(random, true),
        ),
      },
      answer,
      { do: 'send', bytes: Buffer.concat([textFrame(JSON.stringify(goodAuth(random))), ...subscribes]) },
      answer,
      { do: 'stop reading' },
      { do: 'wait', ms: random.between(200, 2500) },
      ...(random.chance(0.5) ? [{ do: 'read on' } as const, answer, ...pause(random)] : []),
    ]
  },

  'long-poll': (random) => {
    const mount = random.pick(mounts)
    const token = random.chance(0.7) ? tokenPlaces[0]! : random.pick([...tokenPlaces, 'x', '', '__proto__'])
    const requests = Array.from({ length: random.between(1, 4) }, () => {
      const kind = random.weighted({ poll: 5, subscribe: 3, any: 2 })
      if (kind === 'any') return plainRequest('POST', mount, message(random, token))
      return post(mount, kind === 'poll' ? poll(random) : subscribe(random), token)
    })
    return [
      ...session(random, mount),
      // Two requests at once on this connection are pipelined. Other connections send at the same time.
      ...(random.chance(0.3)
        ? maybeTogether(random, requests)
        : requests.flatMap((sent): Step[] => [{ do: 'send', bytes: sent }, answer])),
      ...pause(random),
    ]
  },

  'body in pieces': (random) => {
    const path = random.pick([...mounts, '/upload'])
    const whole = request(random, {
      method: 'POST',
      target: path,
      headers: random.chance(0.3) ? ['Expect: 100-continue'] : [],
    })
    const body = whole.indexOf('\r\n\r\n') + 4
    const middle = body + random.between(0, Math.max(0, whole.length - body))
    return [
      { do: 'send', bytes: whole.subarray(0, body) },
      { do: 'wait', ms: random.between(0, 40) },
      { do: 'send', bytes: whole.subarray(body, middle) },
      { do: 'wait', ms: random.between(0, 40) },
      ...(random.chance(0.7) ? [{ do: 'send', bytes: whole.subarray(middle) } as const, answer] : []),
    ]
  },

  slowloris: (random) => {
    const whole = random.chance(0.5)
      ? plainRequest('POST', random.pick(mounts), message(random))
      : plainRequest('GET', random.pick(mounts), '', handshakeHeaders(random, true))
    const shown = whole.subarray(0, random.between(1, Math.min(whole.length - 1, 120)))
    return [...shown].flatMap((byte, i): Step[] => [
      { do: 'send', bytes: Buffer.from([byte]) },
      ...(i % 10 === 0 ? [{ do: 'wait', ms: random.between(10, 60) } as const] : []),
    ])
  },

  preflight: (random) => [
    {
      do: 'send',
      bytes: request(random, {
        method: 'OPTIONS',
        target: random.chance(0.9) ? random.pick(mounts) : target(random),
        headers: [
          `Origin: ${random.pick(['http://friend.example', 'http://evil.example', 'http://127.0.0.1', 'null', 'é'])}`,
          `Access-Control-Request-Method: ${random.pick(['POST', 'GET', '', 'x y'])}`,
          `Access-Control-Request-Headers: ${random.pick(['content-type', '*', ',', 'x'.repeat(2000)])}`,
        ],
      }),
    },
    answer,
  ],

  neighbour: (random) => {
    const path = random.pick(others)
    const packets = random.pick([
      '40',
      '2probe',
      '42["echo","x"]',
      '42["__proto__",{"toString":1}]',
      '51-["echo",{"_placeholder":true,"num":"splice"}]',
      '451-["echo",{"_placeholder":true,"num":99}]',
      '42[{"toString":"x"}]',
      '40{"__proto__":1}',
      '4',
      '9',
    ])
    return [
      { do: 'send', bytes: plainRequest('GET', path, '', handshakeHeaders(random, true)) },
      answer,
      { do: 'send', bytes: Buffer.concat([textFrame('40'), textFrame(packets), frames(random)]) },
      answer,
      ...(random.chance(0.3)
        ? [{ do: 'send', bytes: plainRequest('GET', '/socket.io/?EIO=4&transport=polling&sid=x') } as const]
        : []),
      ...pause(random),
    ]
  },

  garbage: (random) => [
    {
      do: 'send',
      bytes: random.pick([
        () => bytes(random, random.between(1, 500)),
        () => Buffer.from('PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\x04\0\0\0\0\0', 'latin1'),
        () => Buffer.concat([Buffer.from('1603010200010001fc0303', 'hex'), bytes(random, 500)]),
        () => Buffer.from('\r\n'.repeat(random.between(1, 5000))),
        () => Buffer.from('GET '.repeat(5000)),
        () => Buffer.from('*1\r\n$4\r\nPING\r\n'),
      ])(),
    },
    answer,
  ],
}

/** Makes a session in most cases. */
function session(random: Random, mount: string): Step[] {
  if (random.chance(0.2)) return []
  const steps: Step[] = [
    { do: 'send', bytes: post(mount, random.chance(0.8) ? goodAuth(random) : auth(random)) },
    answer,
  ]
  if (random.chance(0.7))
    steps.push({ do: 'send', bytes: post(mount, subscribe(random), tokenPlaces[0]) }, answer)
  return steps
}

function post(path: string, body: object, token: string | undefined = tokenPlaces[0]): Buffer {
  const isAuth = '__type' in body && body.__type === 'auth'
  return plainRequest('POST', path, JSON.stringify(isAuth ? body : { ...body, __token: token }))
}

function upgrade(random: Random, path: string): Buffer {
  return plainRequest('GET', path, '', handshakeHeaders(random, random.chance(0.5)))
}

function h2c(random: Random): Buffer {
  const headers = [
    'Connection: Upgrade, HTTP2-Settings',
    'Upgrade: h2c',
    'HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA',
  ]
  const path = random.pick([...mounts, '/hello', '/upload'])
  return plainRequest(random.pick(['GET', 'POST']), path, random.chance(0.5) ? message(random) : '', headers)
}

function maybeTogether(random: Random, parts: readonly Buffer[]): Step[] {
  if (random.chance(0.5)) return [{ do: 'send', bytes: Buffer.concat(parts) }]
  return parts.flatMap((part): Step[] => [{ do: 'send', bytes: part }, ...pause(random)])
}

/** Sends one packet, or several with pauses. */
function inPieces(random: Random, whole: Buffer): Step[] {
  if (random.chance(0.7) || whole.length < 2) return [{ do: 'send', bytes: whole }]
  const cut = random.between(1, whole.length - 1)
  return [
    { do: 'send', bytes: whole.subarray(0, cut) },
    { do: 'wait', ms: random.between(0, 30) },
    { do: 'send', bytes: whole.subarray(cut) },
  ]
}

function pause(random: Random): Step[] {
  return random.chance(0.5)
    ? []
    : [
        {
          do: 'wait',
          ms: random.weighted({ '1': 4, '20': 4, '300': 2 }) === '1' ? 1 : random.between(5, 300),
        },
      ]
}
