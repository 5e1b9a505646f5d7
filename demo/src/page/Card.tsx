import { useId, type ReactNode } from 'react'
import { CodeButton } from './CodeButton.tsx'
import type { Part } from './code.ts'

type Props = { title: string; part: Part; className?: string; children: ReactNode }

/** A part of the page, with a button that opens its source. */
export function Card({ title, part, className = '', children }: Props) {
  const titleId = useId()
  return (
    <section className={`card ${className}`} aria-labelledby={titleId}>
      <header className="card__header">
        <h2 id={titleId}>{title}</h2>
        <CodeButton title={title} part={part} />
      </header>
      {children}
    </section>
  )
}
