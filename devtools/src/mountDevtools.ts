import type { BroadcasterClient } from '@broadcaster/client'
import { Devtools } from './devtools.ts'

export type DevtoolsPosition = 'bottom-right' | 'bottom-left' | 'top-right' | 'top-left'

export interface DevtoolsOptions {
  /**
   * The element that the devtools are appended to.
   *
   * @default document.body
   */
  target?: Element
  /**
   * Whether the panel is open at first.
   *
   * @default false
   */
  initialIsOpen?: boolean
  /**
   * The corner of the button. The panel is at the same edge of the window.
   *
   * @default 'bottom-right'
   */
  position?: DevtoolsPosition
}

const mounted = new WeakMap<Element, Devtools>()

/**
 * Shows a button in a corner of the page that opens the devtools of the client. All clients that are mounted in one target share the
 * button and the panel, which has a choice of clients then. The options of the first one count. Without a page, for instance while
 * rendering on a server, nothing happens.
 *
 * @throws when there is neither a `<body>` nor a target
 * @returns a function that removes the client from the devtools. A second call does nothing.
 */
export function mountDevtools(client: BroadcasterClient, options: DevtoolsOptions = {}): () => void {
  if (typeof document === 'undefined') return () => {}
  const { target = document.body, initialIsOpen = false, position = 'bottom-right' } = options
  if (!target) throw new Error('mountDevtools() needs a page with a <body>: call it later, or pass a target')
  let devtools = mounted.get(target)
  if (!devtools) {
    devtools = new Devtools(initialIsOpen, position, () => mounted.delete(target))
    mounted.set(target, devtools)
    target.append(devtools.element)
  }
  return devtools.add(client)
}
