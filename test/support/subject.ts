/** What a test talks to: an address that speaks the protocol, and a way to publish into it. */
export type Subject = {
  /** Of the mount path: `http://127.0.0.1:PORT/broadcast`. */
  readonly url: string
  publish(channel: string, body: string): Promise<unknown>
}

export type Transport = 'websocket' | 'longpoll'

export const transports = ['websocket', 'longpoll'] as const satisfies readonly Transport[]
