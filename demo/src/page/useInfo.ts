import { useEffect, useState } from 'react'

export type Info = {
  readonly backend: 'redis' | 'memory'
  /** Whether this is `npm run demo:cluster`. */
  readonly inCluster: boolean
  /** Where the Redis of the cluster is. */
  readonly redisPort?: number
}

/** What the server is. `undefined` until it has answered. */
export function useInfo(): Info | undefined {
  const [info, setInfo] = useState<Info>()

  useEffect(() => {
    const abort = new AbortController()
    fetchInfo(abort.signal).then(setInfo, () => {
      // Only hints need the answer, and the status of the connection shows a server that does not answer.
    })
    return () => abort.abort()
  }, [])

  return info
}

async function fetchInfo(signal: AbortSignal): Promise<Info> {
  return (await fetch('/api/info', { signal })).json()
}
