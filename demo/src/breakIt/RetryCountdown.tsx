import { useEffect, useState } from 'react'

/** " Next attempt in 3 s." */
export function RetryCountdown({ at }: { at: number }) {
  const [now, setNow] = useState(Date.now)

  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), 500)
    return () => clearInterval(timer)
  }, [])

  return <span aria-hidden="true"> Next attempt in {Math.max(0, Math.ceil((at - now) / 1000))} s.</span>
}
