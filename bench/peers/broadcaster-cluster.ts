import cluster, { type Worker } from 'node:cluster'
import { availableParallelism } from 'node:os'
import { serveBroadcaster } from '../relay/broadcaster.ts'
import { ready } from '../relay/peer.ts'

/** This kit in one process for each core, all on one port, with `node:cluster`. */
if (cluster.isPrimary) {
  let awaited = availableParallelism()
  const onReady = (_worker: Worker, message: { port?: number }) => {
    if (message.port !== undefined && --awaited === 0) ready({ port: message.port, pid: process.pid })
  }
  cluster.on('message', onReady)
  for (let i = 0; i < availableParallelism(); i++) cluster.fork()
} else {
  await serveBroadcaster()
}
