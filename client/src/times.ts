/**
 * The times that are not options. They are in a file of their own, because bundlers replace constants of a file that imports
 * nothing by their values.
 */

/** How long `auto` waits for a WebSocket to open, and then for its first frame, before it falls back to long-poll. */
export const FALLBACK_MS = 4_000
/** While the client uses long-poll, it tries WebSocket again after this time. The time doubles for each next probe. */
export const PROBE_FIRST_MS = 30_000
export const PROBE_CAP_MS = 300_000
/** Added to the pause after the end of a session, while a probe is in flight. */
export const PROBE_GRACE_MS = 1_000

/** A connection that ends sooner does not prove that the server works. The backoff is not reset. */
export const STABLE_MS = 5_000
/** A client that is asked for credentials again within this time uses the backoff: the clock of the server may be wrong. */
export const RENEWAL_MS = 1_000
export const BACKOFF_BASE_MS = 500
export const BACKOFF_CAP_MS = 20_000
/** A server that restarts disconnects all its clients at once. They reconnect at random times within this time. */
export const RESTART_SPREAD_MS = 1_000
/** The wait after a "too many requests" refusal that names no time. */
export const TOO_MANY_REQUESTS_MS = 1_000
/** One day. Nobody keeps a page open longer for this, and a timer overflows after 24 days. */
export const RETRY_AFTER_CAP_MS = 86_400_000

/** The time limit for a pong. A server that works answers much sooner. */
export const PONG_LIMIT_MS = 10_000
/** The time limit for a pong when the user has just returned to the page. */
export const CHECK_LIMIT_MS = 5_000
/** The time limit for the closing handshake, which a dead connection never finishes. */
export const CLOSE_LIMIT_MS = 1_000

/** Added to the time that the server waits with an answer, for the answer to arrive. */
export const POLL_MARGIN_MS = 10_000
/** A poll normally waits for messages. After an empty answer within this time we pause, to avoid an endless busy loop. */
export const HASTY_POLL_MS = 50

/**
 * How long a channel without listeners stays subscribed. Without this time, requests would be sent when React mounts a component
 * twice, or when the user goes to another page with the same channel.
 */
export const UNSUBSCRIBE_GRACE_MS = 1_000

/** With `shareTabs`: a tab that has heard nothing from the leader for this time asks whether it is there. */
export const LEADER_QUIET_MS = 5_000
/** Without an answer within this time, the leader is frozen, and the tab takes its place. */
export const LEADER_LIMIT_MS = 5_000
