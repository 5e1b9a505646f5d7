import { useState, type FormEvent } from 'react'

/** Only traders may have "desk". */
const suggestions = ['news', 'weather', 'lunch', 'desk']

export function chipId(name: string): string {
  return `chip-${name}`
}

type Props = { channels: readonly string[]; onToggle: (name: string) => void }

export function ChannelPicker({ channels, onToggle }: Props) {
  const [draft, setDraft] = useState('')
  const [names, setNames] = useState(() => [...new Set([...suggestions, ...channels])])

  const add = (event: FormEvent) => {
    event.preventDefault()
    if (draft === '') return
    if (!channels.includes(draft)) onToggle(draft)
    // The chip stays when the channel is unsubscribed. Otherwise the focus would be lost with it.
    if (!names.includes(draft)) setNames([...names, draft])
    setDraft('')
  }

  return (
    <div className="picker" role="group" aria-label="Channels">
      <div className="picker__row">
        <ul className="picker__chips">
          {names.map((name) => (
            <li key={name}>
              <button
                type="button"
                id={chipId(name)}
                className="chip"
                aria-pressed={channels.includes(name)}
                onClick={() => onToggle(name)}
              >
                {name}
              </button>
            </li>
          ))}
        </ul>
        <form className="picker__add" onSubmit={add}>
          <input
            aria-label="Channel to add"
            placeholder="another channel"
            value={draft}
            onChange={(event) => setDraft(event.target.value)}
            autoComplete="off"
            autoCapitalize="none"
            spellCheck={false}
          />
          <button type="submit" className="button">
            Add
          </button>
        </form>
      </div>
    </div>
  )
}
