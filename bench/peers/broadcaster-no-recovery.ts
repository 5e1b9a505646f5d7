import { serveBroadcaster } from '../relay/broadcaster.ts'

/** This kit without logs and positions: the wire of the original. The difference to `broadcaster` is the cost of recovery. */
await serveBroadcaster({ recovery: false })
