import { useEffect, useState } from 'react'

export type Backend = {
  /** What publishes to this server from a shell. */
  shellLine: string
}

/** What the server runs on, once it has said so. */
export function useBackend(): Backend | undefined {
  const [backend, setBackend] = useState<Backend>()

  useEffect(() => {
    const abort = new AbortController()
    fetchBackend(abort.signal).then(setBackend, () => {
      // Only a hint hangs on it, and a server that is away shows in the connection's status.
    })
    return () => abort.abort()
  }, [])

  return backend
}

async function fetchBackend(signal: AbortSignal): Promise<Backend> {
  const { backend } = await (await fetch('/api/info', { signal })).json()
  const curl = `curl -d '{"channel":"news","body":"hello"}' ${location.origin}/api/publish`
  return { shellLine: backend === 'redis' ? 'redis-cli PUBLISH news hello' : curl }
}
