import { useState, type FormEvent } from 'react'
import { post } from '../page/post.ts'
import type { Info } from '../page/useInfo.ts'

type Props = { channels: readonly string[]; info: Info | undefined }

export function PublishForm({ channels, info }: Props) {
  const [channel, setChannel] = useState('news')
  const [body, setBody] = useState('')
  const [sentTo, setSentTo] = useState<string>()
  const [problem, setProblem] = useState<string>()

  const submit = async (event: FormEvent) => {
    event.preventDefault()
    try {
      await post('/api/publish', { channel, body })
      setProblem(undefined)
      setSentTo(channel)
      setBody('')
    } catch (error) {
      setProblem((error as Error).message)
    }
  }

  return (
    <div className="publish">
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
        <p className="text" role="status">
          Published to <b>{sentTo}</b>, which you have not subscribed to.
        </p>
      )}
      {problem !== undefined && (
        <p className="text" role="alert" data-tone="bad">
          Not published: {problem}
        </p>
      )}
      <p className="text publish__shell">
        Or from a shell: <code className="shell">{info ? shellLine(info) : ''}</code>
      </p>
    </div>
  )
}

function shellLine({ backend, redisPort }: Info): string {
  if (redisPort !== undefined) return `redis-cli -p ${redisPort} PUBLISH news hello`
  if (backend === 'redis') return 'redis-cli PUBLISH news hello'
  return `curl -d '{"channel":"news","body":"hello"}' ${location.origin}/api/publish`
}
