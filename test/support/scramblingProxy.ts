import net from 'node:net'
import type { AddressInfo } from 'node:net'

export type ScramblingProxy = { readonly address: string; close(): Promise<void> }

/**
 * A proxy for Redis that delivers messages of one channel after later messages of other channels. So a subscriber behind it
 * has another order than others, as on a server that delivers the channels in several threads.
 */
export async function scramblingProxy(targetPort: number, late: string): Promise<ScramblingProxy> {
  const sockets = new Set<net.Socket>()
  const server = net.createServer((near) => {
    const far = net.connect(targetPort, '127.0.0.1')
    for (const socket of [near, far]) {
      sockets.add(socket)
      socket.setNoDelay(true)
      socket.on('error', () => {})
      socket.on('close', () => sockets.delete(socket))
    }
    near.pipe(far)
    near.on('close', () => far.destroy())
    far.on('close', () => near.destroy())
    let rest = Buffer.alloc(0)
    let held: Buffer[] = []
    const release = (): void => {
      for (const frame of held) near.write(frame)
      held = []
    }
    far.on('data', (chunk) => {
      rest = Buffer.concat([rest, chunk])
      for (let end = endOf(rest, 0); end !== null; end = endOf(rest, 0)) {
        const frame = rest.subarray(0, end)
        rest = rest.subarray(end)
        if (channelOf(frame) === late) {
          held.push(frame)
          setTimeout(release, 50)
        } else {
          near.write(frame)
          if (channelOf(frame) !== null) release()
        }
      }
    })
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => {
      for (const socket of sockets) socket.destroy()
      return new Promise((resolve) => server.close(() => resolve()))
    },
  }
}

/** The channel of a message. `null` for every other frame. */
function channelOf(frame: Buffer): string | null {
  return /^[*>]3\r\n\$7\r\nmessage\r\n\$\d+\r\n(.*?)\r\n/.exec(frame.toString())?.[1] ?? null
}

/** Where the reply that begins at `start` ends, in RESP2 or RESP3; `null` if it is not complete. */
function endOf(data: Buffer, start: number): number | null {
  const lineEnd = data.indexOf('\r\n', start)
  if (lineEnd < 0) return null
  const type = String.fromCharCode(data[start]!)
  const size = Number(data.toString('latin1', start + 1, lineEnd))
  let end: number | null = lineEnd + 2
  if ('$=!'.includes(type)) {
    if (size >= 0) end += size + 2
    return end <= data.length ? end : null
  }
  const items = '*>~'.includes(type) ? size : '%|'.includes(type) ? 2 * size : 0
  for (let i = 0; i < items && end !== null; i++) end = endOf(data, end)
  return end
}
