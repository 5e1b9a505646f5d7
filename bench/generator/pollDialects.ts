import type { Answer, PollClient } from './polls.ts'

/** How the clients of a peer poll. */
export type PollDialect = {
  /** Everything before the first poll. */
  start(client: PollClient): Promise<void>
  poll(client: PollClient): Promise<void>
}

/** This kit: PROTOCOL.md, with the additions. Each poll sends the position. */
const broadcaster: PollDialect = {
  async start(client) {
    const [authOk] = messagesOf(await client.post('/broadcast', '{"__type":"auth","__v":1}'))
    const token = authOk!['__token'] as string
    const subscribe = JSON.stringify({ __type: 'subscribe', channel: client.channel, __token: token })
    const [subscribeOk] = messagesOf(await client.post('/broadcast', subscribe))
    if (subscribeOk!['__type'] !== 'subscribeOk') throw new Error(JSON.stringify(subscribeOk))
    client.state['token'] = token
    client.state['position'] = subscribeOk!['position'] as string
    client.state['seq'] = '0'
  },
  async poll(client) {
    const { token, position, seq } = client.state
    client.state['seq'] = String(Number(seq) + 1)
    const positions = position === undefined ? undefined : { [client.channel]: position }
    const poll = JSON.stringify({ __type: 'poll', seq, positions, __token: token })
    const newest = messagesOf(await client.post('/broadcast', poll)).at(-1)
    if (newest?.['position'] !== undefined) client.state['position'] = newest['position'] as string
  },
}

/** Socket.IO 4 over HTTP only. */
const socketio: PollDialect = {
  async start(client) {
    const open = packetsOf(await client.get('/socket.io/?EIO=4&transport=polling'))[0]!
    const path = `/socket.io/?EIO=4&transport=polling&sid=${JSON.parse(open.slice(1)).sid}`
    client.state['path'] = path
    await client.post(path, '40', 'text/plain')
    packetsOf(await client.get(path))
    await client.post(path, `420["subscribe","${client.channel}"]`, 'text/plain')
    const answer = packetsOf(await client.get(path))
    if (!answer.some((packet) => packet.startsWith('430'))) throw new Error(answer.join(' '))
  },
  async poll(client) {
    const path = client.state['path']!
    const packets = packetsOf(await client.get(path))
    if (packets.includes('2')) await client.post(path, '3', 'text/plain')
  },
}

/** nchan: an answer has one message. The client asks for the next one with the validators of the last answer. */
const nchan: PollDialect = {
  async start() {},
  async poll(client) {
    const { etag, modified } = client.state
    const after = modified === undefined ? '' : `If-None-Match: ${etag}\r\nIf-Modified-Since: ${modified}\r\n`
    const { head } = await client.get(`/poll/${client.channel}`, after)
    // A poll that timed out is answered with 408 or 304, and the cursor stays the same.
    if (!head.startsWith('HTTP/1.1 200')) return
    client.state['etag'] = /^etag: *(.*)$/im.exec(head)![1]!
    client.state['modified'] = /^last-modified: *(.*)$/im.exec(head)![1]!
  },
}

export const pollDialects = { broadcaster, socketio, nchan }
export type PollDialectName = keyof typeof pollDialects

function messagesOf(answer: Answer): Record<string, unknown>[] {
  if (!answer.head.startsWith('HTTP/1.1 200'))
    throw new Error(`A poll was refused: ${answer.head}\n${answer.text}`)
  return JSON.parse(answer.text)
}

function packetsOf(answer: Answer): string[] {
  if (!answer.head.startsWith('HTTP/1.1 200'))
    throw new Error(`A poll was refused: ${answer.head}\n${answer.text}`)
  return answer.text.split('\x1e')
}
