import { sleep } from '../support/waiting.ts'

type Context = Record<string, unknown>

/** An application that says no, in one way or another: no fault of ours. */
export class Refusal extends Error {}

const SLOW_MS = 80
/**
 * Longer than any attacker waits. Not for ever: behind an answer that never comes Node stops reading a connection once there
 * are enough others that wait for it, does not see its end then, and keeps it.
 */
export const AS_GOOD_AS_NEVER_MS = 7000

/** `canConnect` of an application in the mood that the client asks for. */
export function canConnect({ mood }: Record<string, unknown>): boolean | Context | Promise<boolean> {
  switch (mood) {
    case 'strange':
      return { user: 'mallory', list: [undefined, () => 1], at: new Date(0) }
    case 'context':
      return { user: 'mallory' }
    default:
      return answer(mood)
  }
}

/** `canSubscribe`: here the channel's name says how. */
export function canSubscribe(_auth: Record<string, unknown>, channel: string): boolean | Promise<boolean> {
  return answer(channel.slice(0, Math.max(0, channel.indexOf(':'))))
}

function answer(mood: unknown): boolean | Promise<boolean> {
  switch (mood) {
    case 'slow':
      return sleep(SLOW_MS).then(() => true)
    case 'throw':
      throw new Refusal('thrown')
    case 'reject':
      return Promise.reject(new Refusal('rejected'))
    case 'refuse':
      return false
    case 'never':
      return sleep(AS_GOOD_AS_NEVER_MS).then(() => true)
    case 'strange':
      return 'yes' as unknown as boolean
    default:
      return true
  }
}
