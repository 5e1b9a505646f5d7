import type { Mode } from '@broadcaster/client'
import { useBroadcaster, useConnection } from '@broadcaster/react'
import { RetryCountdown } from './RetryCountdown.tsx'
import { connectionSentence } from './words.ts'

const modes: readonly (readonly [Mode, label: string])[] = [
  ['auto', 'Auto'],
  ['websocket', 'WebSocket'],
  ['longpoll', 'Long-poll'],
]

type Props = { mode: Mode; onModeChange: (mode: Mode) => void }

export function ConnectionPanel({ mode, onModeChange }: Props) {
  const client = useBroadcaster()
  const connection = useConnection()
  const { status, error, retryAt } = connection
  const isDown = status === 'disconnected' || status === 'idle'

  // A refusal also rejects the promise. The panel already shows it, because it is the `error` of the connection.
  const comeBack = () => void client.connect().catch(() => {})

  return (
    <section className="panel" aria-labelledby="connection-title">
      <h2 id="connection-title">Connection</h2>

      <fieldset className="segments">
        <legend>Transport</legend>
        <div className="segments__row">
          {modes.map(([value, label]) => (
            <label key={value} className="segments__item">
              <input
                type="radio"
                name="mode"
                value={value}
                checked={value === mode}
                onChange={() => onModeChange(value)}
              />
              <span>{label}</span>
            </label>
          ))}
        </div>
      </fieldset>

      <p className="panel__text" data-tone={isDown && error ? 'bad' : undefined}>
        {connectionSentence(connection)}
        {retryAt !== null && <RetryCountdown at={retryAt} />}
      </p>

      <button type="button" className="button" onClick={isDown ? comeBack : () => void client.disconnect()}>
        {!isDown ? 'Drop connection' : error ? 'Try again' : 'Come back'}
      </button>
    </section>
  )
}
