import { useEffect, useState, useSyncExternalStore } from 'react'
import type { Session } from '../session/session.ts'

/** "Token 3 ends in 12 s." */
export function TokenClock({ session }: { session: Session }) {
  const { expiresAt, count } = useSyncExternalStore(session.subscribe, session.getState)
  const [now, setNow] = useState(Date.now)

  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 250)
    return () => clearInterval(timer)
  }, [])

  if (expiresAt === null) return null
  const seconds = Math.max(0, Math.ceil((expiresAt - now) / 1000))
  return (
    <p className="text token">
      Token {count} ends in {seconds} s, and the client renews it.
    </p>
  )
}
