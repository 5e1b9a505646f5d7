import type { InflateRaw, ZlibOptions } from 'node:zlib'
import type { PerMessageDeflateOptions } from '../input/webSocketOptions.ts'

/**
 * Options of `ws` for its own compression, which our compression replaces. Both directions are without context takeover, because a
 * frame that all clients share can not depend on earlier frames of one client.
 */
export function withoutContext(
  option: boolean | PerMessageDeflateOptions | undefined,
): false | PerMessageDeflateOptions {
  if (option === undefined || option === false) return false
  const options = option === true ? {} : option
  return {
    ...options,
    // Every stream accepts `construct`, but the types of zlib lack it.
    zlibInflateOptions: { ...options.zlibInflateOptions, construct: stopWhenTooLarge } as ZlibOptions,
    serverNoContextTakeover: true,
    clientNoContextTakeover: true,
  }
}

/**
 * Closes the inflater when a frame inflates to more than the limit. `ws` 7 resets the inflater instead, and the inflater continues
 * with the rest of the frame, which is invalid without its beginning. So the close code would be 1007, after which clients
 * reconnect and send the same frame again, and not 1009 (https://github.com/websockets/ws/pull/2285).
 */
function stopWhenTooLarge(this: InflateRaw, done: () => void): void {
  const { reset } = this
  this.reset = () => {
    // `ws` also resets the inflater between two messages. Only then it has a listener.
    if (this.listenerCount('data') > 0) reset.call(this)
    else this.close()
  }
  done()
}
