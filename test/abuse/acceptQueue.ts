import { openSync, readSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'

/** Less than the 511 connections for which a socket of Node has room by default. */
const MOST_WAITING = 10

/**
 * Resolves when another connection may be made. Node accepts one connection per iteration of its event loop. Connections
 * that wait for this are in a queue of the kernel, which is common to all clients. If it is full, a client connects 1, 3, 7 or
 * 15 s later. The server cannot influence the queue (see "Limits" in docs/security.md), so the abusers do not fill it.
 */
export function turnToConnect(port: number): Promise<void> {
  last = last.then(async () => {
    for (; free <= 0; free = MOST_WAITING - waitingConnections(port)) await sleep(5)
    free -= 1
  })
  return last
}

let last: Promise<void> = Promise.resolve()
/** How many connections may be made until the queue is measured again. */
let free = 0

const LISTENING = '0A'
/** The table lists the listening sockets first. */
const table = Buffer.alloc(64 * 1024)
const file = openSync('/proc/net/tcp', 'r')

/** The number of connections that wait to be accepted at a port of this machine. */
export function waitingConnections(port: number): number {
  const address = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  const lines = table.toString('latin1', 0, readSync(file, table, 0, table.length, 0)).split('\n')
  for (const line of lines) {
    const [, local, , state, queues] = line.trim().split(/\s+/)
    if (local?.endsWith(address) && state === LISTENING) return parseInt(queues!.split(':')[1]!, 16)
  }
  return 0
}
