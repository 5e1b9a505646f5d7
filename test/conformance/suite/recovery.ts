import { describe, expect, it } from 'vitest'
import { signIn } from '../../support/connect.ts'
import type { Wire } from '../../support/inbox.ts'
import type { LongPollPeer } from '../../support/longPollPeer.ts'
import { channelName } from '../../support/names.ts'
import { transports, type Subject } from '../../support/subject.ts'
import { tidy } from '../../support/tidy.ts'
import { sleep, until } from '../../support/waiting.ts'
import { WebSocketPeer } from '../../support/webSocketPeer.ts'
import { otherSettings, type Kind } from '../subjects.ts'
import { replayOf } from './positions.ts'

/** Rules that can only be tested with a short window or a small log. */
export function recovery(_: Subject, kind: Kind): void {
  describe('Positions and recovery', otherSettings(kind), () => {
    it.each(transports)(
      'R9: accepts a position over %s after any time without messages',
      async (transport) => {
        const subject = tidy(await kind.startWith!({ recovery: { window: 300 } }))
        const channel = channelName()
        const come = () => signIn(subject, { transport, auth: { __v: 1 } })
        const [alice, witness] = [await come(), await come()]
        await alice.subscribe(channel)
        await witness.subscribe(channel)
        await subject.publish(channel, '1')
        const { position } = await alice.next()
        await witness.next()
        if (transport === 'longpoll') void keepPolling(witness)
        // After several windows, the message itself has expired.
        await sleep(2000)
        await alice.close()
        const again = await come()
        const answer = await again.subscribe(channel, { position })
        expect(answer).toMatchObject({ __type: 'subscribeOk', recovered: true })
        expect(replayOf(answer)).toEqual([])
      },
    )

    it('R5: reports a gap with "expired" when missed messages are older than the window', async () => {
      const subject = tidy(await kind.startWith!({ recovery: { window: 300 } }))
      const channel = channelName()
      const come = () => signIn(subject, { transport: 'websocket', auth: { __v: 1 } })
      const [alice, witness] = [await come(), await come()]
      const { position } = await alice.subscribe(channel)
      await witness.subscribe(channel)
      await alice.close()
      await subject.publish(channel, 'missed')
      await witness.next()
      const answer = await until('the message to be too old', async () => {
        const again = await come()
        const answer = await again.subscribe(channel, { position })
        await again.close()
        if (answer['recovered'] === false) return answer
        expect(replayOf(answer), 'either all messages or a gap').toEqual(['missed'])
        return undefined
      })
      expect(answer).toMatchObject({ reason: 'expired' })
      expect(replayOf(answer!)).toEqual([])
    })

    it('R4, R5: tells a reader that is too slow where messages are missing, and delays no other client', async () => {
      const { alice, channel, total } = await overflow({ __v: 1 })
      const heard: number[] = []
      const gaps: { readonly after: number; readonly gap: Wire }[] = []
      while (heard.at(-1) !== total - 1) {
        const message = await alice.next()
        if (message.__type === 'gap') gaps.push({ after: heard.length, gap: message })
        else heard.push(numberOf(message))
      }
      expect(gaps).not.toEqual([])
      for (const { gap } of gaps) {
        expect(gap).toEqual({ __type: 'gap', channel, position: expect.any(String), reason: 'overflow' })
      }
      for (let i = 1; i < heard.length; i++) {
        const skipped = heard[i]! - heard[i - 1]! - 1
        expect(skipped, 'nothing comes twice or out of order').toBeGreaterThanOrEqual(0)
        if (skipped > 0)
          expect(
            gaps.some(({ after }) => after === i),
            `a gap before ${heard[i]}`,
          ).toBe(true)
      }
    })

    it('R6: ends the long-poll session of a client of the base that has missed messages, without refusing it', async () => {
      const subject = tidy(await kind.startWith!({ recovery: { window: 300 } }))
      const channel = channelName()
      const alice = (await signIn(subject, { transport: 'longpoll' })) as LongPollPeer
      await alice.subscribe(channel)
      const answer = await until('a message to be too old', async () => {
        await subject.publish(channel, 'missed')
        await sleep(1500)
        const answer = await alice.poll()
        return answer!.status === 200 ? undefined : answer
      })
      expect(answer!.status).toBe(503)
      expect(answer!.messages).toEqual([{ __type: 'serverError', reason: 'Messages were missed' }])
      const late = await alice.post({ __type: 'subscribe', channel })
      expect(late.status).toBe(503)
      const { messages } = await alice.post({ __type: 'auth' })
      expect(messages).toEqual([{ __type: 'authOk', __token: expect.any(String) }])
    })

    it('R6: closes the WebSocket of a client of the base that is too slow, because it can not be told of a gap', async () => {
      const { alice } = await overflow({})
      const heard: number[] = []
      await expect(
        (async () => {
          for (;;) heard.push(numberOf(await alice.next()))
        })(),
      ).rejects.toThrow('4410')
      expect(heard).toEqual(heard.map((_, i) => i))
      expect(await alice.closed).toEqual({ code: 4410, reason: 'Messages were missed' })
    })
  })

  /** A client that does not read while more is published than socket buffers and the log can hold. */
  async function overflow(auth: object) {
    const subject = tidy(
      await kind.startWith!({
        recovery: { maxMessages: 20 },
        limits: { bufferedBytes: 100_000, messageBytes: 65_536 },
      }),
    )
    const channel = channelName()
    const total = 400
    const alice = (await signIn(subject, { transport: 'websocket', auth })) as WebSocketPeer
    const bob = (await signIn(subject, { transport: 'websocket' })) as WebSocketPeer
    for (const peer of [alice, bob]) await peer.subscribe(channel)
    alice.stall()
    // More than the 4 to 10 MB that the system buffers for a socket.
    const padding = 'x'.repeat(65_536)
    for (let i = 0; i < total; i++) {
      await subject.publish(channel, `${i} ${padding}`)
      expect(numberOf(await bob.next())).toBe(i)
    }
    alice.resume()
    return { alice, channel, total }
  }
}

function numberOf(message: Wire): number {
  if (message.__type !== 'message') throw new Error(`Expected a message, got ${JSON.stringify(message)}`)
  return Number.parseInt(message['body'] as string, 10)
}

async function keepPolling(peer: { next(): Promise<Wire> }): Promise<void> {
  await peer.next().catch(() => {})
}
