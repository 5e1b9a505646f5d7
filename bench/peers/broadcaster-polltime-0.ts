import { serveBroadcaster } from '../relay/broadcaster.ts'

/** This kit, long-polls answered with the first message instead of gathering more. */
await serveBroadcaster({ pollTime: 0 })
