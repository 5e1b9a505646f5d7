import type { Mode } from '@broadcaster/client'
import { Card } from '../page/Card.tsx'
import type { Info } from '../page/useInfo.ts'
import { ConnectionControl } from './ConnectionControl.tsx'
import { Faults } from './Faults.tsx'
import { Processes } from './Processes.tsx'
import { TimelineList } from './TimelineList.tsx'

type Props = { mode: Mode; onModeChange: (mode: Mode) => void; info: Info | undefined }

export function BreakIt({ mode, onModeChange, info }: Props) {
  return (
    <Card title="Break it" part="breakIt" className="break-it">
      <ConnectionControl mode={mode} onModeChange={onModeChange} />
      <Faults mode={mode} />
      <Processes isAvailable={info?.inCluster === true} />
      <TimelineList />
    </Card>
  )
}
