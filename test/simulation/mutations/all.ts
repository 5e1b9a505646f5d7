import { client } from './client.ts'
import { copies } from './copies.ts'
import { credentials } from './credentials.ts'
import { logs } from './logs.ts'
import { longPoll } from './longPoll.ts'
import type { Mutation } from './mutation.ts'
import { numbering } from './numbering.ts'
import { olderMessages } from './olderMessages.ts'
import { recovery } from './recovery.ts'
import { release } from './release.ts'
import { severalBrokers } from './severalBrokers.ts'
import { webSocket } from './webSocket.ts'

/** The simulation has to catch each of these. The name says what the mutated code does. */
export const mutations: readonly Mutation[] = [
  ...numbering,
  ...logs,
  ...recovery,
  ...copies,
  ...release,
  ...webSocket,
  ...longPoll,
  ...client,
  ...olderMessages,
  ...credentials,
  ...severalBrokers,
]
