/** The protocol of Redis, as far as the simulated servers need it. All texts are in Latin 1: one character for each byte. */

/** A reply: a text, a number, `null`, or a list of replies. */
export type Reply = string | number | null | Status | ReplyError | readonly Reply[]

/** A simple string, such as `OK`. */
export class Status {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}

/** An error of a server, such as `MOVED 1 10.0.0.1:6379`. */
export class ReplyError extends Error {}

export function encodeReply(reply: Reply): string {
  if (reply === null) return '$-1\r\n'
  if (typeof reply === 'number') return `:${reply}\r\n`
  if (typeof reply === 'string') return `$${reply.length}\r\n${reply}\r\n`
  if (reply instanceof Status) return `+${reply.text}\r\n`
  if (reply instanceof ReplyError) return `-${reply.message}\r\n`
  return `*${reply.length}\r\n${reply.map(encodeReply).join('')}`
}

/** A message that answers no command. With version 2 of the protocol, it looks like a reply. */
export function encodePush(items: readonly Reply[], version: 2 | 3): string {
  const text = encodeReply(items)
  return version === 3 ? `>${text.slice(1)}` : text
}

/** The commands in a text that a client has written. Clients write whole commands. */
export function parseCommands(text: string): string[][] {
  const commands: string[][] = []
  let at = 0
  const number = (): number => {
    const end = text.indexOf('\r\n', at)
    const value = Number(text.slice(at + 1, end))
    at = end + 2
    return value
  }
  while (at < text.length) {
    const command: string[] = []
    for (let left = number(); left > 0; left--) {
      const length = number()
      command.push(text.slice(at, at + length))
      at += length + 2
    }
    commands.push(command)
  }
  return commands
}
