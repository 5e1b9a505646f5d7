type Props = {
  name: string
  hint: string
  isOn?: boolean
  isDisabled?: boolean
  onClick: () => void
}

export function FaultButton({ name, hint, isOn = false, isDisabled = false, onClick }: Props) {
  return (
    <button
      type="button"
      className="fault"
      data-on={isOn || undefined}
      disabled={isDisabled}
      onClick={onClick}
    >
      <span className="fault__name">{name}</span> <span className="fault__hint">{hint}</span>
    </button>
  )
}
