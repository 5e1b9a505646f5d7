import { useState } from 'react'
import { Card } from '../page/Card.tsx'
import type { Info } from '../page/useInfo.ts'
import { ChannelCard } from './ChannelCard.tsx'
import { ChannelPicker, chipId } from './ChannelPicker.tsx'
import { PublishForm } from './PublishForm.tsx'

/** Subscribes to whatever channel you want, and publishes by hand. */
export function AnyChannel({ info }: { info: Info | undefined }) {
  const [channels, setChannels] = useState<readonly string[]>(['news', 'weather'])

  const toggle = (name: string) => {
    setChannels(channels.includes(name) ? channels.filter((other) => other !== name) : [...channels, name])
  }
  const close = (name: string) => {
    toggle(name)
    // The button with the focus disappears with the card, so the focus goes to the chip of the channel.
    document.getElementById(chipId(name))?.focus()
  }

  return (
    <Card title="Any channel" part="anyChannel" className="any-channel">
      <PublishForm channels={channels} info={info} />
      <ChannelPicker channels={channels} onToggle={toggle} />
      {channels.length === 0 ? (
        <p className="any-channel__none">No channel is subscribed. Pick one above, or add your own.</p>
      ) : (
        <ul className="any-channel__list">
          {channels.map((name) => (
            <li key={name}>
              <ChannelCard name={name} onClose={() => close(name)} />
            </li>
          ))}
        </ul>
      )}
    </Card>
  )
}
