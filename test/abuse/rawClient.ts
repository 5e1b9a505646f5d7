import net from 'node:net'
import { handshake, request } from '../support/rawSocket.ts'
import { textFrame } from '../soak/frames.ts'
import { turnToConnect } from './acceptQueue.ts'

const SUBSCRIBED = /"subscribeOk","channel":"([^"]+)","position":"([^"]+)"/g

/** A TCP connection of an abuser. It never throws: the server may end it at any moment. */
export class RawClient {
  readonly socket: net.Socket
  readonly closed: Promise<void>
  #head = ''

  private constructor(port: number, localAddress: string) {
    this.socket = net.connect({ host: '127.0.0.1', port, localAddress })
    this.socket.on('error', () => {})
    this.closed = new Promise((resolve) => this.socket.on('close', () => resolve()))
  }

  static async connect(port: number, localAddress: string): Promise<RawClient> {
    await turnToConnect(port)
    return new RawClient(port, localAddress)
  }

  get isOpen(): boolean {
    return !this.socket.destroyed
  }

  write(data: string | Buffer): void {
    if (this.isOpen) this.socket.write(data)
  }

  /** Sends a request and resolves with the status of its answer, or with 0 if the connection ends first. */
  async ask(target: string, headers: Record<string, string>, body?: string): Promise<number> {
    this.write(body === undefined ? handshake(target, headers) : request(`POST ${target}`, headers, body))
    const answered = new Promise<number>((resolve) => {
      const onData = (data: Buffer) => {
        this.#head += data.toString('latin1')
        if (!this.#head.includes('\r\n\r\n')) return
        this.socket.off('data', onData)
        resolve(Number(/^HTTP\/1\.1 (\d{3})/.exec(this.#head)?.[1] ?? 0))
      }
      this.socket.on('data', onData)
    })
    return Promise.race([answered, this.closed.then(() => 0)])
  }

  /** The first answer so far, with its body. */
  get answer(): string {
    return this.#head
  }

  frame(message: object): void {
    this.write(textFrame(JSON.stringify(message)))
  }

  /** Resolves with the position of each channel from the answers to `subscribe`. Empty if the connection ends first. */
  async positions(channels: readonly string[]): Promise<Map<string, string>> {
    const positions = new Map<string, string>()
    let text = ''
    const hasAll = new Promise<void>((resolve) => {
      this.socket.on('data', (data: Buffer) => {
        text += data.toString('latin1')
        for (const [, channel, position] of text.matchAll(SUBSCRIBED)) positions.set(channel!, position!)
        if (positions.size >= channels.length) resolve()
      })
    })
    for (const channel of channels) this.frame({ __type: 'subscribe', channel })
    await Promise.race([hasAll, this.closed])
    return positions
  }

  /** Stops reading. The buffers of the kernel fill up, then those of the server. */
  stopReading(): void {
    this.socket.pause()
  }

  readAndForget(): void {
    this.socket.on('data', () => {})
    this.socket.resume()
  }

  /** Ends only its own side of the connection. */
  halfClose(): void {
    this.socket.end()
  }

  end(): void {
    this.socket.destroy()
  }
}
