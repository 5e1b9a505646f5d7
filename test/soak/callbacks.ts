import { sleep } from '../support/waiting.ts'

type Context = Record<string, unknown>

/** An intended error of the application, which is not a fault of the kit. */
export class Refusal extends Error {}

const SLOW_MS = 80
/**
 * Longer than any attacker waits. It is not infinite, because of a fault of Node: if enough requests wait after one without an
 * answer, Node stops reading the connection, does not notice its end, and keeps it for ever.
 */
export const NEVER_MS = 7000

/** `canConnect` of the application. The client chooses its behavior. */
export function canConnect({ behavior }: Record<string, unknown>): boolean | Context | Promise<boolean> {
  switch (behavior) {
    case 'strange':
      return { user: 'mallory', list: [undefined, () => 1], at: new Date(0) }
    case 'context':
      return { user: 'mallory' }
    default:
      return answer(behavior)
  }
}

/** `canSubscribe` of the application. The name of the channel chooses its behavior. */
export function canSubscribe(_auth: Record<string, unknown>, channel: string): boolean | Promise<boolean> {
  return answer(channel.slice(0, Math.max(0, channel.indexOf(':'))))
}

function answer(behavior: unknown): boolean | Promise<boolean> {
  switch (behavior) {
    case 'slow':
      return sleep(SLOW_MS).then(() => true)
    case 'throw':
      throw new Refusal('thrown')
    case 'reject':
      return Promise.reject(new Refusal('rejected'))
    case 'refuse':
      return false
    case 'never':
      return sleep(NEVER_MS).then(() => true)
    case 'strange':
      return 'yes' as unknown as boolean
    default:
      return true
  }
}
