import { useChannelMessages } from '@broadcaster/react'
import { useId } from 'react'
import { useAnnounce } from './Announcer.tsx'
import { gapLine, messageLine } from './line.ts'
import { MessageList } from './MessageList.tsx'
import { channelWord } from './words.ts'

type Props = { name: string; onClose: () => void }

export function ChannelCard({ name, onClose }: Props) {
  const announce = useAnnounce()
  const { messages, clear, status, error } = useChannelMessages(name, {
    limit: 100,
    select: messageLine,
    selectGap: gapLine,
    onMessage: (body) => announce(name, body),
  })
  const titleId = useId()

  return (
    <article className="card" aria-labelledby={titleId} data-status={status}>
      <header className="card__header">
        <h3 className="card__title" id={titleId}>
          {name}
        </h3>
        <span className="card__status" role="status">
          {channelWord[status]}
        </span>
        <button
          type="button"
          className="card__close"
          onClick={onClose}
          aria-label={`Unsubscribe from ${name}`}
        >
          <svg viewBox="0 0 16 16" aria-hidden="true">
            <path d="m4 4 8 8m0-8-8 8" />
          </svg>
        </button>
      </header>
      {status === 'refused' ? (
        <p className="card__notice">
          <svg viewBox="0 0 24 24" aria-hidden="true">
            <rect x="5" y="10.5" width="14" height="9.5" rx="2" />
            <path d="M8.5 10.5V7.5a3.5 3.5 0 0 1 7 0v3" />
          </svg>
          The server does not let you have this channel.
          <span className="card__reason">{error?.message}</span>
        </p>
      ) : (
        <MessageList lines={messages} labelledBy={titleId} />
      )}
      {messages.length > 0 && (
        <footer className="card__footer">
          <span>
            {messages.length} {messages.length === 1 ? 'line' : 'lines'}
          </span>
          <button type="button" className="link" onClick={clear} aria-label={`Clear ${name}`}>
            Clear
          </button>
        </footer>
      )}
    </article>
  )
}
