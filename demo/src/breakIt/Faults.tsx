import type { Mode } from '@broadcaster/client'
import { useBroadcaster } from '@broadcaster/react'
import { useState, useSyncExternalStore } from 'react'
import { useDemo } from '../page/demo.ts'
import { FaultButton } from './FaultButton.tsx'

const STALL_MS = 3_000

/** What can be broken in this window. */
export function Faults({ mode }: { mode: Mode }) {
  const client = useBroadcaster()
  const { network, ledger, session } = useDemo()
  const { isOffline, blocksWebSockets } = useSyncExternalStore(network.subscribe, network.getState)
  const [isStalled, setStalled] = useState(false)
  const [isForged, setForged] = useState(false)

  const cut = () => {
    ledger.began('Cut the socket')
    network.cut()
  }
  const toggleOffline = () => {
    if (isOffline) ledger.ended('Online again')
    else ledger.began('Went offline', true)
    network.setOffline(!isOffline)
  }
  const toggleWebSockets = () => {
    ledger.began(blocksWebSockets ? 'Allowed WebSockets' : 'Blocked WebSockets')
    network.blockWebSockets(!blocksWebSockets)
  }
  const stall = async () => {
    ledger.began('Stalled the reader', true)
    setStalled(true)
    // The button is painted first.
    await new Promise((resolve) => requestAnimationFrame(() => setTimeout(resolve)))
    const end = performance.now() + STALL_MS
    while (performance.now() < end);
    setStalled(false)
    ledger.ended('Reads again')
  }
  const toggleForged = async () => {
    session.forge(!isForged)
    setForged(!isForged)
    await client.disconnect()
    // A refusal is the `error` of the connection too.
    await client.connect().catch(() => {})
  }

  return (
    <div className="faults" role="group" aria-label="Faults of this window">
      <FaultButton name="Cut the socket" hint="Like a pulled cable" onClick={cut} />
      <FaultButton
        name={isOffline ? 'Go online' : 'Go offline'}
        hint={isOffline ? 'Nothing gets through' : 'Until you end it'}
        isOn={isOffline}
        onClick={toggleOffline}
      />
      <FaultButton
        name={blocksWebSockets ? 'Allow WebSockets' : 'Block WebSockets'}
        hint={mode === 'auto' ? 'Auto uses long-poll' : 'Choose Auto first'}
        isOn={blocksWebSockets}
        isDisabled={mode !== 'auto' && !blocksWebSockets}
        onClick={toggleWebSockets}
      />
      <FaultButton
        name="Stall the reader"
        hint={isStalled ? 'Reading nothing…' : 'Reads nothing for 3 s'}
        isOn={isStalled}
        onClick={() => void stall()}
      />
      <FaultButton
        name={isForged ? 'Use the real token' : 'Forge the token'}
        hint={isForged ? 'The server refuses it' : 'And connect with it'}
        isOn={isForged}
        onClick={() => void toggleForged()}
      />
    </div>
  )
}
