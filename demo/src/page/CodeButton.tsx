import { useId, useRef, useState } from 'react'
import { filesOf, type Part } from './code.ts'

/** Opens the source text of a part, as it is in the repository. */
export function CodeButton({ title, part }: { title: string; part: Part }) {
  const dialog = useRef<HTMLDialogElement>(null)
  const titleId = useId()
  const files = filesOf[part]
  const [name, setName] = useState<string>()
  const [text, setText] = useState('')

  const show = async (file: (typeof files)[number]) => {
    setName(file.name)
    try {
      setText((await file.load()).default)
    } catch (error) {
      setText(`The source could not be loaded: ${(error as Error).message}`)
    }
  }

  const open = () => {
    dialog.current!.showModal()
    if (name === undefined) void show(files[0]!)
  }

  return (
    <>
      <button type="button" className="code-button" onClick={open} aria-haspopup="dialog">
        <svg viewBox="0 0 16 16" aria-hidden="true">
          <path d="M5.5 4 2 8l3.5 4M10.5 4 14 8l-3.5 4" />
        </svg>
        Code<span className="visually-hidden"> of {title}</span>
      </button>
      <dialog
        ref={dialog}
        className="dialog dialog--code"
        aria-labelledby={titleId}
        // A click on the backdrop is one on the dialog itself.
        onClick={(event) => event.target === event.currentTarget && event.currentTarget.close()}
      >
        <div className="dialog__body">
          <header className="dialog__header">
            <h2 id={titleId}>{title}: the code</h2>
            <button type="button" className="button" onClick={() => dialog.current!.close()}>
              Close
            </button>
          </header>
          <div className="dialog__files">
            {files.map((file) => (
              <button
                key={file.name}
                type="button"
                className="chip"
                aria-pressed={file.name === name}
                onClick={() => void show(file)}
              >
                {file.name}
              </button>
            ))}
          </div>
          <pre className="source" tabIndex={0} aria-label={name}>
            <code>{text}</code>
          </pre>
        </div>
      </dialog>
    </>
  )
}
