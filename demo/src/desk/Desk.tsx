import { useChannelMessages } from '@broadcaster/react'
import { Card } from '../page/Card.tsx'
import { useDemo } from '../page/demo.ts'
import { channelWord } from '../page/words.ts'
import { TokenClock } from './TokenClock.tsx'

/** A private channel: `canSubscribe` on the server lets only traders have it. */
export function Desk() {
  const { session, openAccount } = useDemo()
  const { messages, status, error } = useChannelMessages('desk', { limit: 30 })

  return (
    <Card title="Trading desk" part="desk" className="desk">
      {status === 'refused' ? (
        <div className="card__empty">
          <svg viewBox="0 0 24 24" aria-hidden="true">
            <rect x="5" y="10.5" width="14" height="9.5" rx="2" />
            <path d="M8.5 10.5V7.5a3.5 3.5 0 0 1 7 0v3" />
          </svg>
          <p>Only traders may have this channel. The server says: {error?.message}.</p>
          <button
            type="button"
            className="button button--primary"
            onClick={openAccount}
            aria-haspopup="dialog"
          >
            Sign in as a trader
          </button>
        </div>
      ) : messages.length === 0 ? (
        <p className="card__empty">{status === 'subscribed' ? 'No orders yet.' : channelWord[status]}</p>
      ) : (
        <ol className="lines" aria-label="Orders" tabIndex={0} reversed>
          {messages.toReversed().map(({ id, body: { side, symbol, lots, price } }) => (
            <li key={id} className="line">
              <span className="line__body">
                <b data-side={side}>{side}</b> {lots} lots of {symbol}
              </span>
              <span className="line__time">{price.toFixed(2)}</span>
            </li>
          ))}
        </ol>
      )}
      {session.user !== null && <TokenClock session={session} />}
    </Card>
  )
}
