import net from 'node:net'
import type { AddressInfo } from 'node:net'

export type WordingProxy = {
  readonly port: number
  /** From now on, the proxy itself answers every command with this error. `null`: no longer. */
  refuse(text: string | null): void
  close(): Promise<void>
}

const UNKNOWN = /-ERR unknown command '(\w+)'[^\r]*/g
const COMMAND = /^\*\d+\r\n\$/gm

/**
 * A proxy for Redis that refuses unknown commands in other words, as hosted services do. `$1` in `unknown` is the command.
 */
export async function wordingProxy(
  targetPort: number,
  unknown = 'ERR unknown command',
): Promise<WordingProxy> {
  const sockets = new Set<net.Socket>()
  let refusal: string | null = null
  const server = net.createServer((near) => {
    const far = net.connect(targetPort, '127.0.0.1')
    for (const [socket, other] of [
      [near, far],
      [far, near],
    ] as const) {
      sockets.add(socket)
      socket.setNoDelay(true)
      socket.on('error', () => {})
      socket.on('close', () => {
        sockets.delete(socket)
        other.destroy()
      })
    }
    near.on('data', (chunk) => {
      if (refusal === null) return void far.write(chunk)
      const count = chunk.toString('latin1').match(COMMAND)?.length ?? 0
      near.write(`-${refusal}\r\n`.repeat(count))
    })
    far.on('data', (chunk) => {
      near.write(chunk.toString('latin1').replaceAll(UNKNOWN, `-${unknown}`), 'latin1')
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    port: (server.address() as AddressInfo).port,
    refuse: (text) => void (refusal = text),
    close: () => {
      for (const socket of sockets) socket.destroy()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}
