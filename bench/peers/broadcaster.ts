import { serveBroadcaster } from '../relay/broadcaster.ts'

/** This kit with its defaults. */
await serveBroadcaster()
