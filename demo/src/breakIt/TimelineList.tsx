import { useSyncExternalStore } from 'react'
import { useDemo } from '../page/demo.ts'

/** What has happened to the connection, the newest first. */
export function TimelineList() {
  const { ledger } = useDemo()
  const { events } = useSyncExternalStore(ledger.subscribe, ledger.getSnapshot)

  return (
    <>
      <h3 className="subtitle" id="timeline-title">
        Timeline
      </h3>
      {/* Focusable, so that it can be scrolled with the keyboard. */}
      <ol className="timeline" aria-labelledby="timeline-title" tabIndex={0} reversed>
        {events.map(({ id, at, kind, text, times }) => (
          <li key={id} className="timeline__event" data-kind={kind}>
            <time className="timeline__time" dateTime={new Date(at).toISOString()}>
              {clock.format(at)}
            </time>
            <span className="timeline__text">
              {text}
              {times > 1 && <span className="timeline__times"> ×{times}</span>}
            </span>
          </li>
        ))}
      </ol>
    </>
  )
}

const clock = new Intl.DateTimeFormat('en', {
  hourCycle: 'h23',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  fractionalSecondDigits: 1,
})
