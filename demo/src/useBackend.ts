import { useEffect, useState } from 'react'

export type Backend = {
  /** A shell command that publishes to this server. */
  shellLine: string
}

/** The backend of the server. `undefined` until the server has answered. */
export function useBackend(): Backend | undefined {
  const [backend, setBackend] = useState<Backend>()

  useEffect(() => {
    const abort = new AbortController()
    fetchBackend(abort.signal).then(setBackend, () => {
      // Only a hint needs the answer, and the status of the connection shows a server that does not answer.
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
