import type { Mode } from '@broadcaster/client'
import { BroadcasterDevtools } from '@broadcaster/devtools'
import { BroadcasterProvider } from '@broadcaster/react'
import { useState } from 'react'
import { Announcer } from './Announcer.tsx'
import { ChannelBoard } from './ChannelBoard.tsx'
import { ConnectionPanel } from './ConnectionPanel.tsx'
import { Header } from './Header.tsx'
import { SignInPanel } from './SignInPanel.tsx'

export function App() {
  const [token, setToken] = useState('alice')
  const [mode, setMode] = useState<Mode>('auto')
  const [channels, setChannels] = useState<readonly string[]>(['news', 'weather'])

  return (
    <Announcer>
      {/* The key makes a new client for each user, without any state of the previous user. */}
      <BroadcasterProvider key={token} url="/broadcast" auth={{ token }} mode={mode}>
        <Header />
        <ChannelBoard channels={channels} onChange={setChannels} />
        <ConnectionPanel mode={mode} onModeChange={setMode} />
        <BroadcasterDevtools />
      </BroadcasterProvider>
      {/* Outside the provider, so that signing in does not remount the form and lose its focus. */}
      <SignInPanel token={token} onSignIn={setToken} />
    </Announcer>
  )
}
