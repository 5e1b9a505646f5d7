import { useChannelMessages } from '@broadcaster/react'
import { useId } from 'react'
import { useAnnounce } from '../page/Announcer.tsx'
import { gapLine, messageLine, shown } from './line.ts'
import { MessageList } from './MessageList.tsx'
import { Refusal } from './Refusal.tsx'
import { channelWord, emptyListSentence } from '../page/words.ts'

type Props = { name: string; onClose: () => void }

export function ChannelCard({ name, onClose }: Props) {
  const announce = useAnnounce()
  const { messages, clear, status, error } = useChannelMessages(name, {
    limit: 100,
    select: messageLine,
    selectGap: gapLine,
    onMessage: (body) => announce(name, shown(body)),
  })
  const titleId = useId()

  return (
    <article className="channel" aria-labelledby={titleId} data-status={status}>
      <header className="channel__header">
        <h3 className="channel__title" id={titleId}>
          {name}
        </h3>
        <span className="channel__status" role="status">
          {channelWord[status]}
        </span>
        <button
          type="button"
          className="channel__close"
          onClick={onClose}
          aria-label={`Unsubscribe from ${name}`}
        >
          <svg viewBox="0 0 16 16" aria-hidden="true">
            <path d="m4 4 8 8m0-8-8 8" />
          </svg>
        </button>
      </header>
      {status === 'refused' ? (
        <Refusal reason={error?.message} />
      ) : (
        <MessageList lines={messages} labelledBy={titleId} ifEmpty={emptyListSentence[status]} />
      )}
      {messages.length > 0 && (
        <footer className="channel__footer">
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
