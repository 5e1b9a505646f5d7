import { serveBroadcaster } from '../relay/broadcaster.ts'

/** This kit with compression turned on: each message compressed once and shared. */
await serveBroadcaster({ webSocket: { perMessageDeflate: true } })
