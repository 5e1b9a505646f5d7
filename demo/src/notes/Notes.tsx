import { useChannelMessages } from '@broadcaster/react'
import { useState, type FormEvent } from 'react'
import { Card } from '../page/Card.tsx'
import { useDemo } from '../page/demo.ts'
import { post } from '../page/post.ts'
import { useAnnounce } from '../page/Announcer.tsx'
import { clock } from '../page/clock.ts'

/** All windows share one channel. A new one gets the notes of the last half minute with `replay`. */
export function Notes() {
  const { session } = useDemo()
  const announce = useAnnounce()
  const { messages } = useChannelMessages('notes', {
    limit: 50,
    replay: 20,
    onMessage: ({ author, text }) => announce('notes', `${author}: ${text}`),
  })
  const [text, setText] = useState('')
  const [problem, setProblem] = useState<string>()

  const submit = async (event: FormEvent) => {
    event.preventDefault()
    try {
      await post('/api/notes', { text }, session.token)
      setText('')
      setProblem(undefined)
    } catch (error) {
      setProblem((error as Error).message)
    }
  }

  return (
    <Card title="Notes" part="notes" className="notes">
      <form className="row" onSubmit={submit}>
        <input
          aria-label="Note"
          placeholder="A note for all windows"
          value={text}
          onChange={(event) => setText(event.target.value)}
          required
          maxLength={280}
          autoComplete="off"
        />
        <button type="submit" className="button button--primary">
          Send
        </button>
      </form>
      {messages.length === 0 ? (
        <p className="card__empty">
          Open{' '}
          <a href={location.href} target="_blank" rel="noreferrer">
            a second window
          </a>{' '}
          beside this one, and send a note.
        </p>
      ) : (
        <ol className="lines" aria-label="Notes" tabIndex={0} reversed>
          {messages.toReversed().map(({ id, body: { author, text, at } }) => (
            <li key={id} className="line">
              <span className="line__body">
                <b>{author}</b> {text}
              </span>
              <time className="line__time" dateTime={new Date(at).toISOString()}>
                {clock.format(at)}
              </time>
            </li>
          ))}
        </ol>
      )}
      {problem !== undefined && (
        <p className="text" role="alert" data-tone="bad">
          Not sent: {problem}
        </p>
      )}
    </Card>
  )
}
