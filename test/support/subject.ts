/** The subject of a test: a URL that speaks the protocol, and a function to publish. */
export type Subject = {
  /** The URL of the mount path: `http://127.0.0.1:PORT/broadcast`. */
  readonly url: string
  publish(channel: string, body: string): Promise<unknown>
}

export type Transport = 'websocket' | 'longpoll'

export const transports = ['websocket', 'longpoll'] as const satisfies readonly Transport[]
