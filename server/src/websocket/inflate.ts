import type { InflateRaw, ZlibOptions } from 'node:zlib'
import type { PerMessageDeflateOptions } from '../input/webSocketOptions.ts'

/**
 * Settings of `ws` for its own compression, which ours takes the place of. A frame that all share can't depend on what each was
 * sent before.
 */
export function withoutContext(
  option: boolean | PerMessageDeflateOptions | undefined,
): false | PerMessageDeflateOptions {
  if (option === undefined || option === false) return false
  const options = option === true ? {} : option
  return {
    ...options,
    // What every stream takes, and the types of zlib leave out.
    zlibInflateOptions: { ...options.zlibInflateOptions, construct: stopWhenTooLarge } as ZlibOptions,
    serverNoContextTakeover: true,
    clientNoContextTakeover: true,
  }
}

/**
 * `ws` 7 has an inflater begin anew when it has made too much of a frame. That goes on with the rest of the frame, which it can't
 * make anything of without what was before; so clients were told 1007, after which they come back with the same frame, and not
 * 1009 (https://github.com/websockets/ws/pull/2285). It ends instead.
 */
function stopWhenTooLarge(this: InflateRaw, done: () => void): void {
  const { reset } = this
  this.reset = () => {
    // Between two messages there is somebody who listens.
    if (this.listenerCount('data') > 0) reset.call(this)
    else this.close()
  }
  done()
}
