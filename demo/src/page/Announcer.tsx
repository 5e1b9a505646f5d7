import { createContext, useCallback, useContext, useEffect, useRef, useState, type ReactNode } from 'react'

type Announce = (channel: string, body: string) => void

const AnnounceContext = createContext<Announce>(() => {})

/** The minimum time between two announcements to a screen reader. */
const PAUSE_MS = 3000

/**
 * One polite live region for all channels. With a live region per list, a screen reader would read every message aloud, and
 * on a busy channel it would never stop.
 */
export function Announcer({ children }: { children: ReactNode }) {
  const [text, setText] = useState('')
  const unheard = useRef(new Map<string, string[]>())
  const timer = useRef<ReturnType<typeof setTimeout>>(undefined)

  const announce = useCallback<Announce>((channel, body) => {
    unheard.current.set(channel, [...(unheard.current.get(channel) ?? []), body])
    timer.current ??= setTimeout(() => {
      timer.current = undefined
      setText([...unheard.current].map(summary).join('. '))
      unheard.current.clear()
    }, PAUSE_MS)
  }, [])

  useEffect(() => {
    return () => {
      clearTimeout(timer.current)
      timer.current = undefined
    }
  }, [])

  return (
    <AnnounceContext value={announce}>
      {children}
      <p className="visually-hidden" role="status" aria-label="New messages">
        {text}
      </p>
    </AnnounceContext>
  )
}

export function useAnnounce(): Announce {
  return useContext(AnnounceContext)
}

function summary([channel, bodies]: [string, string[]]): string {
  return bodies.length === 1 ? `${channel}: ${bodies[0]}` : `${bodies.length} new messages in ${channel}`
}
