import net from 'node:net'
import { once } from 'node:events'
import { channelName } from './channels.ts'
import { formatNumber } from './frames.ts'

/**
 * Publishes to Redis by plain PUBLISH. Messages are numbered in the order of publishing, over all channels. Commands that
 * are added in one go leave in one write, and their replies are not looked at.
 */
export class Publisher {
  /** How many messages have been published so far; the next one's number. */
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

  /** The size of the bodies from now on: JSON with a number, then text of short words that compresses as JSON usually does. */
  setBody(bytes: number): void {
    this.#bodyBytes = bytes
    this.#rest = `","text":"${fill(bytes - `{"n":"@00000000","text":""}`.length)}"}`
  }

  /** Adds a message for the channel of this index. It leaves with the next `flush`. */
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

/** Text of so many bytes, always the same: words and numbers in an order that does not repeat soon. */
function fill(bytes: number): string {
  let text = ''
  for (let state = 1; text.length < bytes;) {
    state = (state * 48271) % 2147483647
    text += `${words[state % words.length]} ${state % 1000} `
  }
  return text.slice(0, bytes)
}
