import type { Mode } from '@broadcaster/client'
import { useBroadcaster, useConnection } from '@broadcaster/react'
import { connectionSentence } from '../page/words.ts'
import { RetryCountdown } from './RetryCountdown.tsx'

const modes: readonly (readonly [Mode, label: string])[] = [
  ['auto', 'Auto'],
  ['websocket', 'WebSocket'],
  ['longpoll', 'Long-poll'],
]

type Props = { mode: Mode; onModeChange: (mode: Mode) => void }

export function ConnectionControl({ mode, onModeChange }: Props) {
  const client = useBroadcaster()
  const connection = useConnection()
  const { status, error, retryAt } = connection
  const isDown = status === 'disconnected' || status === 'idle'

  // A refusal also rejects the promise. It is shown already, because it is the `error` of the connection.
  const comeBack = () => void client.connect().catch(() => {})

  return (
    <div className="connection">
      <fieldset className="segments">
        <legend className="visually-hidden">Transport</legend>
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
      <div className="connection__row">
        <p className="text" data-tone={isDown && error ? 'bad' : undefined}>
          {connectionSentence(connection)}
          {retryAt !== null && <RetryCountdown at={retryAt} />}
        </p>
        <button type="button" className="link" onClick={isDown ? comeBack : () => void client.disconnect()}>
          {!isDown ? 'Disconnect' : error ? 'Try again' : 'Come back'}
        </button>
      </div>
    </div>
  )
}
