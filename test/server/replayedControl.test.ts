import { expect, it } from 'vitest'
import { SignedCodec } from '../../server/src/control/signing.ts'
import { collectLogs } from '../support/logs.ts'

it('a signed control message is accepted once, however many others come before it is repeated', () => {
  const { logger } = collectLogs()
  const [sender, receiver] = [new SignedCodec(['secret'], logger), new SignedCodec(['secret'], logger)]
  const sent: string[] = []
  for (let count = 1; count <= 600; count++) {
    const text = sender.encode('news', { type: 'endSession', session: String(count) })
    expect(receiver.decode('news', text)).toMatchObject({ session: String(count) })
    sent.push(text)
    for (const before of [1, 2, 100, 127, 128, 129, 130, 250, 256, 257, 258, 500]) {
      const again = sent.at(-before)
      if (again !== undefined) expect(receiver.decode('news', again), `${count}, ${before}`).toBeNull()
    }
  }
})

it('signed control messages may arrive in another order', () => {
  const { logger } = collectLogs()
  const [sender, receiver] = [new SignedCodec(['secret'], logger), new SignedCodec(['secret'], logger)]
  const texts = Array.from({ length: 100 }, (_, i) =>
    sender.encode('news', { type: 'endSession', session: String(i) }),
  )
  for (const text of texts.toReversed()) expect(receiver.decode('news', text)).not.toBeNull()
})
