import { BroadcasterClient, type TransportName } from '@broadcaster/client'
import { WebSocket } from 'ws'
import { ChannelRecord } from '../chaos/record.ts'
import { within } from './waiting.ts'

/** The time limit of a healthy client. It is long, because attacks may slow a small machine down. */
const PATIENCE_MS = 60_000

/** A client that follows the rules. It has to get every message of one channel. */
export type HealthyClient = {
  readonly record: ChannelRecord
  /** How often it had to connect again. */
  readonly reconnections: number
  /** Errors that it should not have received. */
  readonly complaints: readonly string[]
  stop(): Promise<void>
}

export type HealthyOptions = {
  readonly mode: TransportName
  readonly channel: string
  readonly headers?: Record<string, string>
  /** Returns the number in the body of a message. */
  readonly read?: (body: string) => number
}

/** Connects with our client. Resolves when the channel is subscribed. */
export async function healthyClient(
  url: string,
  { mode, channel, headers = {}, read = Number }: HealthyOptions,
): Promise<HealthyClient> {
  const record = new ChannelRecord(`${mode} of ${new URL(url).pathname}`, channel)
  const complaints: string[] = []
  let reconnections = 0
  const client = new BroadcasterClient(url, { mode, WebSocket, headers })
  client.on('status', ({ from, to }) => {
    if (from === 'reconnecting' && to === 'connected') reconnections += 1
  })
  client.on('error', (error) => complaints.push(`${record.client}: ${error.code}: ${error.message}`))
  client.on('disconnected', ({ reason, error }) => {
    if (error !== null) complaints.push(`${record.client}: disconnected: ${reason}`)
  })
  const subscription = client.subscribe(channel, (body) => record.hear(read(String(body)), Date.now()), {
    onGap: ({ reason }) => record.gap(reason, Date.now()),
  })
  await within(subscription.ready, `${record.client} to have ${channel}`, PATIENCE_MS)
  return {
    record,
    get reconnections() {
      return reconnections
    },
    complaints,
    stop: () => client.disconnect(),
  }
}
