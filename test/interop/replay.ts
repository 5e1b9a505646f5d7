import { expect } from 'vitest'
import { signIn } from '../support/connect.ts'
import type { Wire } from '../support/inbox.ts'
import { post, type Answer } from '../support/longPollPeer.ts'
import type { Peer } from '../support/peer.ts'
import type { Publisher } from '../support/publisher.ts'
import type { Subject } from '../support/subject.ts'
import { sleep } from '../support/waiting.ts'
import { WebSocketPeer } from '../support/webSocketPeer.ts'
import { differences, type Difference } from './differences.ts'
import type { Line, Transcript } from './transcript.ts'

export type ReplayOptions = {
  /** The servers by their names in the transcript. */
  readonly servers: Readonly<Record<string, Subject>>
  readonly publisher: Pick<Publisher, 'publish' | 'publishAtOnce'>
}

/** Plays the clients of a recording and expects the recorded answers. Returns the declared differences that it met. */
export async function replay(transcript: Transcript, options: ReplayOptions): Promise<Set<Difference>> {
  const player = new Player(transcript, options)
  for (const lines of bursts(transcript.lines)) {
    if (lines.length === 1) await player.play(lines[0]!)
    else await player.playBurst(lines)
  }
  await player.end()
  return player.met
}

/** Messages that were published within this time, in ms, are one burst. */
const BURST_MS = 50

/** Groups the lines: the messages of a burst are one group, because they have to arrive within one `pollTime` here too. */
function bursts(lines: readonly Line[]): Line[][] {
  const result: Line[][] = []
  for (const line of lines) {
    const last = result.at(-1)?.at(-1)
    const isSame = last?.dir === 'publisher' && line.dir === 'publisher' && line.t - last.t <= BURST_MS
    if (isSame) result.at(-1)!.push(line)
    else result.push([line])
  }
  return result
}

const WITNESSED = 'witnessed'

class Player {
  readonly met = new Set<Difference>()
  readonly #transcript: Transcript
  readonly #options: ReplayOptions
  readonly #sockets = new Map<number, WebSocketPeer>()
  readonly #requests = new Map<number, Promise<Answer>>()
  /** The last text that the client of each connection or request sent. It identifies differences. */
  readonly #said = new Map<string, string>()
  readonly #tokens = new Map<string, string>()
  /** One more client at each server, which gets only the markers of `#arrived`. */
  readonly #witnesses: Peer[] = []
  #isArriving = false
  #lastLine = 0

  constructor(transcript: Transcript, options: ReplayOptions) {
    this.#transcript = transcript
    this.#options = options
  }

  async playBurst(lines: readonly Line[]): Promise<void> {
    await this.#pauseBefore(lines[0]!)
    await this.#options.publisher.publishAtOnce(lines.map((line) => [line.channel!, bodyOf(line)]))
    this.#isArriving = true
    this.#lastLine = lines.at(-1)!.t
  }

  async play(line: Line): Promise<void> {
    await this.#pauseBefore(line)
    if (line.dir === 'publisher') {
      await this.#options.publisher.publish(line.channel!, bodyOf(line))
      this.#isArriving = true
    } else if (line.transport === 'ws') {
      if (line.dir === 'client>server') await this.#arrived()
      await (line.dir === 'client>server' ? this.#clientFrame(line) : this.#serverFrame(line))
    } else if (line.dir === 'client>server') {
      this.#request(line)
    } else {
      await this.#response(line)
    }
  }

  /** Pauses like the recording, which gave a poll the time to arrive, or a session the time to expire. */
  async #pauseBefore(line: Line): Promise<void> {
    const pause = line.t - this.#lastLine
    if (line.dir !== 'server>client' && (this.#requests.size > 0 || pause > 1000)) await sleep(pause)
    this.#lastLine = line.t
  }

  /** Resolves when every server has the published messages, so that a later subscription does not get them. */
  async #arrived(): Promise<void> {
    if (!this.#isArriving) return
    this.#isArriving = false
    if (this.#witnesses.length === 0) {
      for (const server of Object.values(this.#options.servers)) {
        const witness = await signIn(server, { transport: 'websocket' })
        await witness.subscribe(WITNESSED)
        this.#witnesses.push(witness)
      }
    }
    await this.#options.publisher.publish(WITNESSED, 'arrived')
    for (const witness of this.#witnesses) await witness.next()
  }

  /** Checks that no message has arrived that is not in the recording. */
  async end(): Promise<void> {
    for (const witness of this.#witnesses) await witness.close()
    expect(this.#requests.size, 'requests without an answer').toBe(0)
    for (const socket of this.#sockets.values()) {
      expect(socket.pending, 'messages that the original did not send').toEqual([])
    }
  }

  async #clientFrame(line: Line): Promise<void> {
    const { conn = 0, event, body = '' } = line
    if (event === 'connect') {
      this.#sockets.set(conn, await WebSocketPeer.connect(this.#server(line)))
      return
    }
    const peer = this.#sockets.get(conn)!
    this.#said.set(`ws ${conn}`, body)
    if (event === 'text') await peer.send(body)
    else if (event === 'binary') await peer.send(Buffer.from(body))
    else if (event === 'close') peer.socket.close(line.code, line.reason)
    else if (event === 'tcp connection dropped') await peer.drop()
    else if (event === 'ping frame') peer.socket.ping(body)
    else throw new Error(`The replay has no code for the event ${event}`)
  }

  async #serverFrame(line: Line): Promise<void> {
    const { conn = 0, event } = line
    const peer = this.#sockets.get(conn)!
    if (event === 'text') {
      const recorded = JSON.parse(line.body!) as unknown
      const difference = this.#difference(`ws ${conn}`, recorded)
      if (typeof difference?.ours === 'number') expect((await peer.closed).code).toBe(difference.ours)
      else expect(await peer.next()).toEqual(difference ? difference.ours : recorded)
    } else if (event === 'close') {
      if (line.code === 1006) return
      const { code, reason } = await peer.closed
      expect(code).toBe(line.code)
      // The reason of 4400 is from the parser, so only its presence counts. A server may echo the close reason of a client or not.
      if (code === 4400) expect(reason).not.toBe('')
      else if (code >= 4000) expect(reason).toBe(line.reason ?? '')
    } else if (event === 'pong frame') {
      expect(await peer.pong).toBe(line.body ?? '')
    }
  }

  #request(line: Line): void {
    const body = (line.body ?? '').replace(/<token\d*>/g, (token) => this.#tokens.get(token) ?? token)
    const path = line.path?.replace('/broadcaster/', '/') ?? ''
    this.#said.set(`http ${line.id}`, path + (line.body ?? ''))
    this.#requests.set(line.id!, post(this.#server(line).url + path, body))
  }

  async #response(line: Line): Promise<void> {
    const answer = await this.#requests.get(line.id!)!
    this.#requests.delete(line.id!)
    const recorded = JSON.parse(line.body!) as Wire[]
    const difference = this.#difference(`http ${line.id}`, recorded)
    const expected = difference ? (difference.ours as Wire[]) : recorded
    expect(answer.status).toBe(difference?.status ?? line.status)
    expect(answer.messages).toEqual(expected.map((message) => this.#withToken(message, answer)))
  }

  /** From now on, replaces the token of the recording by the one of the server. */
  #withToken(message: Wire, answer: Answer): Wire {
    const recorded = message['__token']
    if (typeof recorded !== 'string') return message
    const given = answer.messages[0]?.['__token']
    expect(given).toEqual(expect.stringMatching(/./))
    this.#tokens.set(recorded, given as string)
    return { ...message, __token: given }
  }

  #difference(who: string, recorded: unknown): Difference | undefined {
    const said = this.#said.get(who)
    const difference = differences.find(({ transcript, to, original }) => {
      if (transcript !== this.#transcript.name || to !== said) return false
      try {
        expect(recorded).toEqual(original)
        return true
      } catch {
        return false
      }
    })
    if (difference) this.met.add(difference)
    return difference
  }

  #server({ server = 'A' }: Line): Subject {
    return this.#options.servers[server]!
  }
}

function bodyOf({ body, bodyBase64 }: Line): string | Buffer {
  return bodyBase64 === undefined ? body! : Buffer.from(bodyBase64, 'base64')
}
