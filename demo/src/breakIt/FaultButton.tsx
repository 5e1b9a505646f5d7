import { useId } from 'react'

type Props = {
  name: string
  hint: string
  isOn?: boolean
  isDisabled?: boolean
  onClick: () => void
}

export function FaultButton({ name, hint, isOn = false, isDisabled = false, onClick }: Props) {
  const [nameId, hintId] = [useId(), useId()]
  return (
    <button
      type="button"
      className="fault"
      data-on={isOn || undefined}
      disabled={isDisabled}
      onClick={onClick}
      aria-labelledby={nameId}
      aria-describedby={hintId}
    >
      <span className="fault__name" id={nameId}>
        {name}
      </span>
      <span className="fault__hint" id={hintId}>
        {hint}
      </span>
    </button>
  )
}
