import net from 'node:net'
import { once } from 'node:events'
import { channelName } from './channels.ts'
import { formatNumber } from './frames.ts'

/**
 * Publishes to Redis with PUBLISH. Messages are numbered in the order of publishing, over all channels. `flush` sends all
 * added commands in one write. The replies are not read.
 */
export class Publisher {
  /** The number of messages published so far, which is also the number of the next one. */
  published = 0
  readonly #socket: net.Socket
  #bodyBytes = 100
  #rest = ''
  #pending = ''

  private constructor(socket: net.Socket) {
    this.#socket = socket
  }

  static async connect(port: number): Promise<Publisher> {
    const buffer = Buffer.allocUnsafe(65536)
    const socket = net.connect({
      port,
      host: '127.0.0.1',
      noDelay: true,
      onread: { buffer, callback: () => true },
    })
    await once(socket, 'connect')
    const publisher = new Publisher(socket)
    publisher.setBody(100)
    return publisher
  }

  /** Sets the size of the bodies from now on: JSON with a number, then short words, which compress like typical JSON. */
  setBody(bytes: number): void {
    this.#bodyBytes = bytes
    this.#rest = `","text":"${fill(bytes - `{"n":"@00000000","text":""}`.length)}"}`
  }

  /** Adds a message for the channel of this index. The next `flush` sends it. */
  add(channel: number): void {
    const name = channelName(channel)
    const body = `{"n":"${formatNumber(this.published)}${this.#rest}`
    this.#pending += `*3\r\n$7\r\nPUBLISH\r\n$${name.length}\r\n${name}\r\n$${this.#bodyBytes}\r\n${body}\r\n`
    this.published++
  }

  flush(): void {
    if (this.#pending === '') return
    this.#socket.write(this.#pending, 'latin1')
    this.#pending = ''
  }

  close(): void {
    this.#socket.destroy()
  }
}

const words =
  'alpha beta gamma delta epsilon zeta eta theta iota kappa lambda mu nu xi omicron pi rho sigma tau'.split(
    ' ',
  )

/** Text of this size, always the same: words and numbers in an order with a long period. */
function fill(bytes: number): string {
  let text = ''
  for (let state = 1; text.length < bytes;) {
    state = (state * 48271) % 2147483647
    text += `${words[state % words.length]} ${state % 1000} `
  }
  return text.slice(0, bytes)
}
