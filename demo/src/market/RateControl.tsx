import { useChannel } from '@broadcaster/react'
import { useEffect, useRef, useState } from 'react'
import { post } from '../page/post.ts'

const steps = [1, 2, 5, 10, 20, 50, 100, 200, 500, 1_000, 2_000, 5_000]

/** How much the simulator publishes. All pages show the same rate. */
export function RateControl() {
  const [perSecond, setPerSecond] = useState<number>()
  const [problem, setProblem] = useState<string>()
  /** What the user wants, while the server does not know it yet. */
  const wanted = useRef<number>(undefined)
  useChannel('rate', ({ perSecond }) => {
    // An older rate must not move the slider back under the finger.
    if (wanted.current === undefined) setPerSecond(perSecond)
  })

  useEffect(() => {
    const abort = new AbortController()
    fetch('/api/rate', { signal: abort.signal })
      .then((response) => response.json())
      .then(
        (answer) => setPerSecond((known) => known ?? answer.perSecond),
        () => {
          // The status of the connection shows a server that does not answer.
        },
      )
    return () => abort.abort()
  }, [])

  const change = async (perSecond: number) => {
    setPerSecond(perSecond)
    const isSending = wanted.current !== undefined
    wanted.current = perSecond
    if (isSending) return
    try {
      // One request at a time, so the last one wins.
      for (let sent: number | undefined; sent !== wanted.current;) {
        sent = wanted.current
        await post('/api/rate', { perSecond: sent })
      }
      setProblem(undefined)
    } catch (error) {
      setProblem((error as Error).message)
    }
    wanted.current = undefined
  }

  const shown = perSecond ?? 100
  return (
    <div className="rate">
      <label className="rate__label" htmlFor="rate">
        Published
      </label>
      <input
        id="rate"
        type="range"
        min={0}
        max={steps.length - 1}
        value={nearest(shown)}
        onChange={(event) => void change(steps[Number(event.target.value)]!)}
        aria-valuetext={`${shown} messages per second`}
      />
      <output className="rate__value" htmlFor="rate">
        <b>{perSecond === undefined ? '–' : perSecond.toLocaleString('en')}</b> per second
      </output>
      {problem !== undefined && (
        <p className="rate__problem" role="alert">
          Not changed: {problem}
        </p>
      )}
    </div>
  )
}

function nearest(perSecond: number): number {
  return Math.max(
    0,
    steps.findLastIndex((step) => step <= perSecond),
  )
}
