import { useState, type FormEvent } from 'react'

type Props = { token: string; onSignIn: (token: string) => void }

export function SignInPanel({ token, onSignIn }: Props) {
  const [draft, setDraft] = useState(token)

  const submit = (event: FormEvent) => {
    event.preventDefault()
    onSignIn(draft.trim())
  }

  return (
    <section className="panel" aria-labelledby="sign-in-title">
      <h2 id="sign-in-title">Sign in</h2>
      <form className="row" onSubmit={submit}>
        <label className="field row__grow">
          <span className="field__label">Token</span>
          <input
            value={draft}
            onChange={(event) => setDraft(event.target.value)}
            aria-describedby="token-hint"
            autoComplete="off"
            autoCapitalize="none"
            spellCheck={false}
          />
        </label>
        <button type="submit" className="button">
          Sign in
        </button>
      </form>
      <p className="panel__text" id="token-hint">
        The token now is <b>{token || 'empty'}</b>. Any is let in but <code>bad</code>.
      </p>
    </section>
  )
}
