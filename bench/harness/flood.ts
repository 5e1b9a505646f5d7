import type { Figures } from './figures.ts'
import type { Session } from './session.ts'

export type FloodOptions = {
  readonly sockets: number
  readonly channels: number
  /** How many messages are in flight at the same time. */
  readonly window: number
}

/** Opens the sockets, warms up, and measures messages that are published as fast as they are delivered. */
export async function flood(session: Session, { sockets, channels, window }: FloodOptions): Promise<Figures> {
  await session.open(sockets, channels)
  return measureFlood(session, { sockets, channels, window })
}

/** As `flood`, with sockets that are already open. */
export async function measureFlood(
  session: Session,
  { sockets, channels, window }: FloodOptions,
): Promise<Figures> {
  const load = { channels, fanOut: sockets / channels, window }
  await session.generator.call('flood', { ...load, seconds: session.warmSeconds })
  return session.measure(() => session.generator.call('flood', { ...load, seconds: session.seconds }))
}
