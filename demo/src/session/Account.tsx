import { useState, type FormEvent, type Ref } from 'react'
import { roles, type Role, type User } from '../../tokens.ts'
import { CodeButton } from '../page/CodeButton.tsx'
import type { Session } from './session.ts'

type Props = {
  ref: Ref<HTMLDialogElement>
  session: Session
  onSignIn: (user: User | null) => Promise<void>
}

const roleSentence: Record<Role, string> = {
  visitor: 'sees everything but the desk',
  trader: 'sees the desk too',
}

export function Account({ ref, session, onSignIn }: Props) {
  const [name, setName] = useState('alice')
  const [role, setRole] = useState<Role>('trader')
  const [problem, setProblem] = useState<string>()

  const signIn = async (event: FormEvent<HTMLFormElement>) => {
    event.preventDefault()
    const dialog = event.currentTarget.closest('dialog')!
    try {
      await onSignIn({ name, role })
      setProblem(undefined)
      dialog.close()
    } catch (error) {
      setProblem((error as Error).message)
    }
  }

  return (
    <dialog
      ref={ref}
      className="dialog"
      aria-labelledby="account-title"
      // A click on the backdrop is one on the dialog itself.
      onClick={(event) => event.target === event.currentTarget && event.currentTarget.close()}
    >
      <form className="dialog__body" onSubmit={signIn}>
        <header className="dialog__header">
          <h2 id="account-title">Sign in</h2>
          <CodeButton title="Sign in" part="account" />
        </header>
        <label className="field">
          <span className="field__label">Name</span>
          <input
            value={name}
            onChange={(event) => setName(event.target.value)}
            required
            maxLength={40}
            autoComplete="off"
            autoCapitalize="none"
            spellCheck={false}
          />
        </label>
        <fieldset className="options">
          <legend>Role</legend>
          {roles.map((value) => (
            <label key={value} className="options__item">
              <input type="radio" name="role" checked={value === role} onChange={() => setRole(value)} />
              <span>
                <b>{value}</b> {roleSentence[value]}
              </span>
            </label>
          ))}
        </fieldset>
        <p className="text">
          There is no password. The server signs a token that ends after half a minute, and the client gets a
          new one in time, without missing a message.
        </p>
        {problem !== undefined && (
          <p className="text" role="alert" data-tone="bad">
            Not signed in: {problem}
          </p>
        )}
        <div className="dialog__actions">
          <button
            type="button"
            className="button"
            onClick={(event) => event.currentTarget.closest('dialog')!.close()}
          >
            Close
          </button>
          {session.user !== null && (
            <button type="button" className="button" onClick={() => void onSignIn(null)}>
              Sign out
            </button>
          )}
          <button type="submit" className="button button--primary">
            {session.user === null ? 'Sign in' : 'Sign in as another'}
          </button>
        </div>
      </form>
    </dialog>
  )
}
