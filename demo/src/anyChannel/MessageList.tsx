import type { Line } from './line.ts'
import { clock } from '../page/clock.ts'
import { gapReason } from '../page/words.ts'

type Props = { lines: readonly Line[]; labelledBy: string; ifEmpty: string }

/** The newest line is at the top, so it is visible without scrolling. */
export function MessageList({ lines, labelledBy, ifEmpty }: Props) {
  if (lines.length === 0) return <p className="channel__notice">{ifEmpty}</p>

  return (
    // Focusable, so that it can be scrolled with the keyboard.
    <ol className="lines" aria-labelledby={labelledBy} tabIndex={0} reversed>
      {lines.toReversed().map((line) =>
        line.kind === 'gap' ? (
          <li key={line.id} className="line line--gap">
            Messages were missed here: {gapReason[line.reason]}.
          </li>
        ) : (
          <li key={line.id} className="line">
            <span className="line__body">{line.body}</span>
            <time className="line__time" dateTime={new Date(line.at).toISOString()}>
              {clock.format(line.at)}
            </time>
          </li>
        ),
      )}
    </ol>
  )
}
