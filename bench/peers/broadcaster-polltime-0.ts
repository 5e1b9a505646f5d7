import { serveBroadcaster } from '../relay/broadcaster.ts'

/** This kit, which answers each poll with the first message and does not gather more. */
// There is one poll for each message, so the limit of requests would make polls wait and gather messages.
await serveBroadcaster({ pollTime: 0, limits: { requestsPerSecond: Infinity } })
