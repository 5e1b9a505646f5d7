import { serveBroadcaster } from '../relay/broadcaster.ts'

/** This kit with its defaults, for clients of the base. */
await serveBroadcaster()
