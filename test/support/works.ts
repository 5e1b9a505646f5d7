import { expect } from 'vitest'
import { signIn } from './connect.ts'
import { channelName } from './names.ts'
import { transports, type Subject } from './subject.ts'

/** Checks that a new client of each transport can subscribe a channel and receive a message. */
export async function works(subject: Subject): Promise<void> {
  for (const transport of transports) {
    const channel = channelName()
    const alice = await signIn(subject, { transport })
    await alice.subscribe(channel)
    await subject.publish(channel, 'hello')
    expect(await alice.next()).toEqual({ __type: 'message', channel, body: 'hello' })
    await alice.close()
  }
}
