export function Refusal({ reason }: { reason: string | undefined }) {
  return (
    <div className="channel__notice">
      <svg viewBox="0 0 24 24" aria-hidden="true">
        <rect x="5" y="10.5" width="14" height="9.5" rx="2" />
        <path d="M8.5 10.5V7.5a3.5 3.5 0 0 1 7 0v3" />
      </svg>
      <p>The server does not let you have this channel.</p>
      <p className="channel__reason">{reason}</p>
    </div>
  )
}
