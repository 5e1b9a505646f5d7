import { useState, type FormEvent } from 'react'
import { publish } from './publish.ts'
import { useBackend } from './useBackend.ts'

export function PublishForm({ channels }: { channels: readonly string[] }) {
  const [channel, setChannel] = useState('news')
  const [body, setBody] = useState('')
  const [sentTo, setSentTo] = useState<string>()
  const [problem, setProblem] = useState<string>()
  const backend = useBackend()

  const submit = async (event: FormEvent) => {
    event.preventDefault()
    try {
      await publish(channel, body)
      setProblem(undefined)
      setSentTo(channel)
      setBody('')
    } catch (error) {
      setProblem((error as Error).message)
    }
  }

  return (
    <section className="panel" aria-labelledby="publish-title">
      <h2 id="publish-title">Publish</h2>
      <form className="row row--publish" onSubmit={submit}>
        <label className="field">
          <span className="field__label">Channel</span>
          <input
            value={channel}
            onChange={(event) => setChannel(event.target.value)}
            list="publish-channels"
            autoComplete="off"
            autoCapitalize="none"
            spellCheck={false}
          />
          <datalist id="publish-channels">
            {channels.map((name) => (
              <option key={name} value={name} />
            ))}
          </datalist>
        </label>
        <label className="field row__grow">
          <span className="field__label">Message</span>
          <input
            value={body}
            onChange={(event) => setBody(event.target.value)}
            placeholder="Say something"
            required
            autoComplete="off"
          />
        </label>
        <button type="submit" className="button button--primary">
          Publish
        </button>
      </form>
      {sentTo !== undefined && !channels.includes(sentTo) && (
        <p className="panel__text" role="status">
          Published to <b>{sentTo}</b>, which you have not subscribed to.
        </p>
      )}
      {problem !== undefined && (
        <p className="panel__text" role="alert" data-tone="bad">
          Not published: {problem}
        </p>
      )}
      {backend && (
        <p className="panel__text">
          Or from a shell: <code className="shell">{backend.shellLine}</code>
        </p>
      )}
    </section>
  )
}
