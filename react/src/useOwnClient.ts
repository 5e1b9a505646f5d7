import { BroadcasterClient, type ClientOptions } from '@broadcaster/client'
import { useEffect, useInsertionEffect, useRef, useState } from 'react'

type Options = ClientOptions & { url: string }

/** StrictMode, hot reload and a hidden `<Activity>` unmount only to mount again: that shall cost no connection. */
const GRACE_MS = 1000

/** The client that a provider makes for itself; `null` without options. */
export function useOwnClient(options: Options | null): BroadcasterClient | null {
  const latest = useRef(options)
  useInsertionEffect(() => {
    latest.current = options
  })

  const make = () => options && new OwnClient(options, () => latest.current?.auth ?? {})
  const [kept, keep] = useState(make)
  let own = kept
  // State set while rendering takes effect at once: no child ever sees the old client with the new options.
  if (kept?.url !== options?.url || kept?.mode !== options?.mode) keep((own = make()))

  useEffect(() => own?.hold(), [own])
  return own && own.client
}

class OwnClient {
  readonly url: string
  readonly mode: ClientOptions['mode']
  readonly client: BroadcasterClient
  #leaving: ReturnType<typeof setTimeout> | undefined

  constructor({ url, ...options }: Options, getAuth: () => NonNullable<ClientOptions['auth']>) {
    this.url = url
    this.mode = options.mode
    const auth = () => {
      const current = getAuth()
      return typeof current === 'function' ? current() : current
    }
    this.client = new BroadcasterClient(url, { ...options, auth })
  }

  /** Connects, or stays connected. Returns the way to let go. */
  hold(): () => void {
    // Should it fail, useConnection() says why.
    if (this.#leaving === undefined) void this.client.connect()
    clearTimeout(this.#leaving)
    this.#leaving = undefined
    return () => {
      this.#leaving = setTimeout(() => {
        this.#leaving = undefined
        void this.client.disconnect()
      }, GRACE_MS)
    }
  }
}
