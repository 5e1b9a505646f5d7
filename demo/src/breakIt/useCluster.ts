import { useEffect, useState } from 'react'
import type { ClusterState } from '../../cluster/control.ts'
import { post } from '../page/post.ts'
import { useDemo } from '../page/demo.ts'

const ASK_EVERY_MS = 2_000

type Command = {
  readonly path: string
  readonly cause: string
  readonly isEnd?: boolean
  readonly lasts?: boolean
}

/** The processes of `npm run demo:cluster`, and how to end and start them. `null`: not known. */
export function useCluster(isAvailable: boolean) {
  const { ledger } = useDemo()
  const [state, setState] = useState<ClusterState | null>(null)
  const [busy, setBusy] = useState<string | null>(null)

  useEffect(() => {
    if (!isAvailable) return
    const abort = new AbortController()
    // Another window may end and start them too.
    const ask = () =>
      fetch('/api/cluster', { signal: abort.signal })
        .then((response) => response.json())
        .then(setState, () => setState(null))
    void ask()
    const timer = setInterval(ask, ASK_EVERY_MS)
    return () => {
      clearInterval(timer)
      abort.abort()
    }
  }, [isAvailable])

  const run = async ({ path, cause, isEnd = false, lasts = false }: Command) => {
    setBusy(path)
    try {
      setState((await post(`/api/cluster${path}`)) as ClusterState)
      if (isEnd) ledger.ended(cause)
      else ledger.began(cause, lasts)
    } catch {
      // The processes have ended with their supervisor.
      setState(null)
    } finally {
      setBusy(null)
    }
  }

  return { state, busy, run }
}
