import { createSocket } from 'node:dgram'
import { once } from 'node:events'

export type Dns = {
  readonly port: number
  /** The IPv4 addresses of every name. */
  addresses: readonly string[]
  close(): void
}

const HEADER_BYTES = 12
const TYPE_A = 1

/** A DNS server that answers with the same addresses for every name, as the DNS of Docker does for an alias of containers. */
export async function startDns(): Promise<Dns> {
  const socket = createSocket('udp4')
  const dns: Dns = { port: 0, addresses: [], close: () => void socket.close() }
  socket.on('message', (query, { port, address }) => {
    const question = query.subarray(HEADER_BYTES, query.indexOf(0, HEADER_BYTES) + 5)
    const isA = question.readUInt16BE(question.length - 4) === TYPE_A
    const answers = (isA ? dns.addresses : []).map((one) =>
      // A pointer to the name in the question, type A, class IN, a life of 1 s, 4 bytes.
      Buffer.from([0xc0, HEADER_BYTES, 0, 1, 0, 1, 0, 0, 0, 1, 0, 4, ...one.split('.').map(Number)]),
    )
    const header = Buffer.from([...query.subarray(0, 2), 0x81, 0x80, 0, 1, 0, answers.length, 0, 0, 0, 0])
    socket.send(Buffer.concat([header, question, ...answers]), port, address)
  })
  socket.bind(0, '127.0.0.1')
  await once(socket, 'listening')
  return Object.assign(dns, { port: socket.address().port })
}
