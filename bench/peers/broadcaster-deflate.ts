import { serveBroadcaster } from '../relay/broadcaster.ts'

/** This kit with compression: each message is compressed once, and all sockets share the result. */
await serveBroadcaster({ webSocket: { perMessageDeflate: true } })
