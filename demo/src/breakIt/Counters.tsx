import { useBroadcaster } from '@broadcaster/react'
import { useEffect, useSyncExternalStore, type ReactNode } from 'react'
import { ConnectionBadge } from '../page/ConnectionBadge.tsx'
import { useDemo } from '../page/demo.ts'

/** What the numbers in the messages show. It stays visible while the page is scrolled. */
export function Counters() {
  const client = useBroadcaster()
  const { ledger } = useDemo()
  useEffect(() => ledger.follow(client), [ledger, client])
  const { received, perSecond, lost, doubled, gaps, missed, recovery, isRecovering } = useSyncExternalStore(
    ledger.subscribe,
    ledger.getSnapshot,
  )

  return (
    <section className="counters" aria-label="Counters">
      <ConnectionBadge />
      <dl className="counters__list">
        <Counter name="Received" value={received} note={`${perSecond.toLocaleString('en')} per second`} />
        <Counter name="Lost" value={lost} note="must be 0" isBad={lost > 0} />
        <Counter name="Doubled" value={doubled} note="must be 0" isBad={doubled > 0} />
        <Counter name="Gaps told" value={gaps} note={`${missed.toLocaleString('en')} messages`} />
        <Counter
          name="Recovered in"
          note={isRecovering ? 'not yet' : (recovery?.cause ?? 'nothing broken yet')}
        >
          {isRecovering ? '…' : recovery === null ? '–' : duration(recovery.ms)}
        </Counter>
      </dl>
    </section>
  )
}

type CounterProps = { name: string; value?: number; note: string; isBad?: boolean; children?: ReactNode }

function Counter({ name, value, note, isBad = false, children }: CounterProps) {
  return (
    <div className="counter" data-tone={isBad ? 'bad' : undefined}>
      <dt>{name}</dt>
      <dd>
        <b className="counter__value" data-counter={name} data-value={value}>
          {children ?? value?.toLocaleString('en')}
        </b>
        <span className="counter__note">{note}</span>
      </dd>
    </div>
  )
}

function duration(ms: number): string {
  return ms < 1_000 ? `${ms} ms` : `${(ms / 1_000).toFixed(1)} s`
}
