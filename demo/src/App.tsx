import type { Mode } from '@broadcaster/client'
import { BroadcasterProvider } from '@broadcaster/react'
import { lazy, Suspense, useRef, useState } from 'react'
import { channels } from '../channels.ts'
import type { User } from '../tokens.ts'
import { AnyChannel } from './anyChannel/AnyChannel.tsx'
import { BreakIt } from './breakIt/BreakIt.tsx'
import { Counters } from './breakIt/Counters.tsx'
import { Ledger } from './breakIt/ledger.ts'
import { Network } from './breakIt/network.ts'
import { Desk } from './desk/Desk.tsx'
import { Market } from './market/Market.tsx'
import { Prices } from './market/prices.ts'
import { Notes } from './notes/Notes.tsx'
import { Announcer } from './page/Announcer.tsx'
import { DemoContext } from './page/demo.ts'
import { Header } from './page/Header.tsx'
import { Intro } from './page/Intro.tsx'
import { useInfo } from './page/useInfo.ts'
import { Account } from './session/Account.tsx'
import { Session } from './session/session.ts'

// In an application: import { BroadcasterDevtools } from '@broadcaster/devtools', which is nothing in production.
const Devtools = lazy(async () => ({
  default: (await import('@broadcaster/devtools/production')).BroadcasterDevtools,
}))

export function App() {
  const [network] = useState(() => new Network())
  const [ledger] = useState(() => new Ledger())
  const [prices] = useState(() => new Prices())
  const [session, setSession] = useState(() => new Session(null, network))
  const [mode, setMode] = useState<Mode>('auto')
  const account = useRef<HTMLDialogElement>(null)
  const info = useInfo()

  /** Rejects if the server does not accept the user. */
  const signIn = async (user: User | null) => {
    const next = new Session(user, network)
    if (user !== null) await next.renew()
    setSession(next)
  }
  const openAccount = () => account.current!.showModal()

  return (
    <DemoContext value={{ network, ledger, prices, session, openAccount }}>
      <Header info={info} session={session} onAccount={openAccount} />
      {/* Outside the provider, so that signing in does not remount the form and lose its focus. */}
      <Account ref={account} session={session} onSignIn={signIn} />
      <main>
        <Intro />
        <Announcer>
          {/* The key makes a new client for each user, without any state of the previous user. */}
          <BroadcasterProvider
            key={session.id}
            url="/broadcast"
            channels={channels}
            auth={session.auth}
            mode={mode}
            {...network.options}
          >
            <Counters />
            <div className="columns">
              <Market />
              <BreakIt mode={mode} onModeChange={setMode} info={info} />
            </div>
            <div className="columns columns--even">
              <Notes />
              <Desk />
            </div>
            <AnyChannel info={info} />
            <Suspense>
              <Devtools />
            </Suspense>
          </BroadcasterProvider>
        </Announcer>
      </main>
    </DemoContext>
  )
}
