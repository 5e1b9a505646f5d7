import { useConnection } from '@broadcaster/react'
import { connectionWord, transportWord } from './words.ts'

/** Always visible. Screen readers read changes aloud. */
export function ConnectionBadge() {
  const { status, transport, error } = useConnection()
  const isRefused = status === 'disconnected' && error !== null
  return (
    <p
      className="badge"
      role="status"
      aria-label="Connection"
      data-connection={isRefused ? 'refused' : status}
    >
      <span className="badge__dot" aria-hidden="true" />
      <span>{isRefused ? 'Refused' : connectionWord[status]}</span>
      {status === 'connected' && transport && (
        <span className="badge__transport">
          <span className="visually-hidden"> over </span>
          {transportWord[transport]}
        </span>
      )}
    </p>
  )
}
