import type { Session } from '../session/session.ts'
import type { Info } from './useInfo.ts'

type Props = { info: Info | undefined; session: Session; onAccount: () => void }

export function Header({ info, session: { user }, onAccount }: Props) {
  return (
    <header className="header">
      <p className="brand">
        <svg className="brand__mark" viewBox="0 0 24 24" aria-hidden="true">
          <circle cx="12" cy="12" r="2.3" />
          <path d="M7.4 16.6a6.5 6.5 0 0 1 0-9.2M16.6 7.4a6.5 6.5 0 0 1 0 9.2" />
          <path d="M4.2 19.8a11 11 0 0 1 0-15.6M19.8 4.2a11 11 0 0 1 0 15.6" />
        </svg>
        broadcaster
      </p>
      <p className="header__server">{info && serverWord(info)}</p>
      <button type="button" className="button" onClick={onAccount} aria-haspopup="dialog">
        {user === null ? 'Sign in' : `${user.name}, ${user.role}`}
      </button>
    </header>
  )
}

function serverWord({ backend, inCluster }: Info): string {
  if (inCluster) return 'Two nodes, one Redis'
  return backend === 'redis' ? 'One node, Redis' : 'One process, no Redis'
}
