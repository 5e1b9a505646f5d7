import { serveBroadcaster } from '../relay/broadcaster.ts'

/** This kit, with a copy of each channel on another node. */
await serveBroadcaster({ recovery: { copies: 2 } })
