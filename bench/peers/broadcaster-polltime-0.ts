import { serveBroadcaster } from '../relay/broadcaster.ts'

/** This kit, long-polls answered with the first message instead of gathering more. */
// A poll for each message: what comes faster than the limit would be gathered.
await serveBroadcaster({ pollTime: 0, limits: { requestsPerSecond: Infinity } })
