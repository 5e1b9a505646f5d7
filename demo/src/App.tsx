import type { Mode } from '@broadcaster/client'
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
      {/* The key makes another user a new client: nothing of the one before is carried over. */}
      <BroadcasterProvider key={token} url="/broadcast" auth={{ token }} mode={mode}>
        <Header />
        <ChannelBoard channels={channels} onChange={setChannels} />
        <ConnectionPanel mode={mode} onModeChange={setMode} />
      </BroadcasterProvider>
      {/* Outside, so that signing in does not take the form and its focus away. */}
      <SignInPanel token={token} onSignIn={setToken} />
    </Announcer>
  )
}
