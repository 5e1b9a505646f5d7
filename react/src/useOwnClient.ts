import { BroadcasterClient, type ClientOptions } from '@broadcaster/client'
import { useEffect, useInsertionEffect, useRef } from 'react'
import { useKept } from './useKept.ts'

type Options = ClientOptions & { url: string }

/** StrictMode, hot reload and a hidden `<Activity>` unmount and soon mount again. This must not close the connection. */
const GRACE_MS = 1000

/** The client that a provider makes. `null` without options. */
export function useOwnClient(options: Options | null): BroadcasterClient | null {
  const latest = useRef(options)
  useInsertionEffect(() => {
    latest.current = options
  })

  const own = useKept(
    () => options && new OwnClient(options, () => latest.current?.auth ?? {}),
    [options?.url, options?.mode],
  )
  useEffect(() => own?.retain(), [own])
  return own && own.client
}

class OwnClient {
  readonly client: BroadcasterClient
  #disconnectTimer: ReturnType<typeof setTimeout> | undefined

  constructor({ url, ...options }: Options, getAuth: () => NonNullable<ClientOptions['auth']>) {
    const auth = () => {
      const current = getAuth()
      return typeof current === 'function' ? current() : current
    }
    this.client = new BroadcasterClient(url, { ...options, auth })
  }

  /** Connects the client, or keeps it connected. Returns a function that disconnects it after the grace time. */
  retain(): () => void {
    // If it fails, useConnection() has the error.
    if (this.#disconnectTimer === undefined) void this.client.connect()
    clearTimeout(this.#disconnectTimer)
    this.#disconnectTimer = undefined
    return () => {
      this.#disconnectTimer = setTimeout(() => {
        this.#disconnectTimer = undefined
        void this.client.disconnect()
      }, GRACE_MS)
    }
  }
}
