import { serveBroadcaster } from '../relay/broadcaster.ts'

/** This kit without logs and positions: the original's wire, and what recovery costs. */
await serveBroadcaster({ recovery: false })
