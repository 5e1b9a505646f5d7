import { authData } from '@broadcaster/protocol'
import { isDevelopment } from './development.ts'
import { randomName } from './dialer.ts'
import { BroadcasterError } from './errors.ts'
import { isObject, resolveUrl } from './options.ts'
import type { Settings } from './options.ts'
import { TabMember } from './tabMember.ts'
import { TABS_VERSION } from './tabMessages.ts'
import type { AuthData } from './types.ts'

export interface ShareTabsOptions {
  /**
   * Names the user. Tabs share a connection if it returns the same text. Called with the credentials of each connection attempt. With
   * `undefined`, `null` or an empty text, the tab has a connection of its own.
   *
   * Needed if a cookie decides who the user is, because then the credentials of all users are alike. Also needed if the credentials
   * differ between tabs of one user, like a token with a time in it: otherwise these tabs do not share.
   *
   * @default the credentials as JSON, if there are any
   */
  key?: (auth: AuthData) => string | null | undefined
}

/** Made by {@link shareTabs}, for the option of the same name. */
export type ShareTabs = (settings: Settings) => Settings

/**
 * All tabs of the same user and URL use one connection to the server. One tab has the connection, and passes its messages to the
 * others. When it is closed, crashes, is frozen or gets into the back-forward cache, another tab continues from the positions.
 *
 * @example
 * new BroadcasterClient('/broadcast', { auth: { token }, shareTabs: shareTabs() })
 */
export function shareTabs({ key = credentials }: ShareTabsOptions = {}): ShareTabs {
  if (isDevelopment && typeof key !== 'function') {
    throw new BroadcasterError('options', `shareTabs: key should be a function, got ${String(key)}`)
  }
  return (settings) => {
    if (!isAvailable()) return settings
    const shared: Settings = {
      ...settings,
      // The leader chooses among the transports.
      mode: 'websocket',
      open: ({ auth }, handlers) =>
        new TabMember({
          settings,
          data: authData(auth),
          handlers,
          keyOf: (data) => (isObject(data) && key(authData({ ...data }))) || undefined,
          groupOf: (name) => groupOf(resolveUrl(settings, 'http'), name),
          onUnavailable: () => Object.assign(shared, settings, { open: undefined }),
        }).transport,
    }
    return shared
  }
}

function credentials(auth: AuthData): string | undefined {
  return Object.keys(auth).length > 0 ? JSON.stringify(auth) : undefined
}

/** Web Locks need a secure context (https, or localhost). A sandboxed frame has no origin to share with. */
function isAvailable(): boolean {
  return (
    typeof BroadcastChannel === 'function' &&
    globalThis.navigator?.locks !== undefined &&
    globalThis.origin !== 'null'
  )
}

/** A hash, so that no credentials are in the names of locks, which tools show. */
async function groupOf(url: string, key: string | undefined): Promise<string> {
  const text = JSON.stringify([TABS_VERSION, url, key ?? randomName()])
  const hash = await crypto.subtle.digest('SHA-256', new TextEncoder().encode(text))
  return `broadcaster ${new Uint32Array(hash).join('-')}`
}
