import { ChannelCard } from './ChannelCard.tsx'
import { ChannelPicker, chipId } from './ChannelPicker.tsx'
import { PublishForm } from './PublishForm.tsx'

type Props = { channels: readonly string[]; onChange: (channels: readonly string[]) => void }

export function ChannelBoard({ channels, onChange }: Props) {
  const toggle = (name: string) => {
    onChange(channels.includes(name) ? channels.filter((other) => other !== name) : [...channels, name])
  }

  const close = (name: string) => {
    toggle(name)
    // The button with the focus disappears with the card, so the focus goes to the chip of the channel.
    document.getElementById(chipId(name))?.focus()
  }

  return (
    <main className="board">
      <PublishForm channels={channels} />
      <ChannelPicker channels={channels} onToggle={toggle} />
      {channels.length === 0 ? (
        <p className="board__empty">No channel is subscribed. Pick one above, or add your own.</p>
      ) : (
        <ul className="board__cards">
          {channels.map((name) => (
            <li key={name}>
              <ChannelCard name={name} onClose={() => close(name)} />
            </li>
          ))}
        </ul>
      )}
    </main>
  )
}
