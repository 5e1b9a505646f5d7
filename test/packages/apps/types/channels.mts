// The types of a map of channels on the server, in the client and in hooks.
import { defineChannels, type ChannelsOf } from '@broadcaster/channels'
import { BroadcasterClient, type ChannelBody, type ChannelName, type Message } from '@broadcaster/client'
import { BroadcasterProvider, useChannel, useChannelMessages } from '@broadcaster/react'
import { broadcaster, type Broadcaster } from '@broadcaster/server'
import { z } from 'zod'
import { channels, type others } from './map.cjs'

declare module '@broadcaster/client' {
  interface Channels extends ChannelsOf<typeof channels> {}
  interface Channels extends ChannelsOf<typeof others> {}
}

type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
declare function same<A, B>(...difference: Same<A, B> extends true ? [] : ['not the same']): void
declare const id: string
declare const count: number
type Order = { id: number; at: Date }
type Room = { text: string }
type Lobby = { open: boolean }

// Bodies.
same<ChannelBody<'orders'>, Order>()
same<ChannelBody<'room:42'>, Room>()
same<ChannelBody<'room:lobby'>, Lobby>()
same<ChannelBody<'room:1:user:bob'>, boolean>()
same<ChannelBody<'{acme}.bills'>, number>()
same<ChannelBody<'price:ACME'>, number>()
same<ChannelBody<`room:${number}`>, Room>()
same<ChannelBody<`room:${string}`>, Room | Lobby>()
same<ChannelBody<'orders' | 'room:42'>, Order | Room>()
same<ChannelBody<string>, Order | Room | Lobby | boolean | number>()
for (const unknown of ['ordres', 'room:', 'room:1:2', 'room:1:user:', 'room::user:bob', '{}.bills'] as const)
  same<ChannelBody<typeof unknown>, never>()
// @ts-expect-error the check itself works
same<ChannelBody<'orders'>, Room>()
export const name: ChannelName = id

// The client.
const client = new BroadcasterClient('/broadcast', { channels })
client.subscribe('orders', (body, message) => same<[typeof body, typeof message], [Order, Message]>())
client.subscribe(`room:${count}`, (body) => same<typeof body, Room>(), {
  onError: ({ issues }, { body }) => void [issues.length, body.toUpperCase()],
})
client.on('message:orders', (body) => same<typeof body, string>())
for await (const { body } of client.messages('room:lobby')) same<typeof body, Lobby>()
// @ts-expect-error an order has no text
client.subscribe('orders', (body: Room) => body.text)
// @ts-expect-error not the result of defineChannels()
new BroadcasterClient('/broadcast', { channels: channels.schemas })

// The hooks.
export function Page(): void {
  const { latest } = useChannel('orders', (body) => same<typeof body, Order>())
  same<Order | undefined, NonNullable<typeof latest>['body'] | undefined>()
  useChannel(`room:${id}:user:${id}`, {
    onMessage: (body, message) => same<typeof body, typeof message.body>(),
  })
  useChannel(id === '' ? null : 'room:42', { onMessage: (body) => same<typeof body, Room>() })
  const { messages } = useChannelMessages('room:42', { select: ({ text }) => text.length })
  same<readonly number[], typeof messages>()
  const whole = useChannelMessages('room:42').messages[0]
  same<Room | undefined, NonNullable<typeof whole>['body'] | undefined>()
  // The schema of a hook is used instead.
  useChannel('orders', { schema: z.string(), onMessage: (body) => same<typeof body, string>() })
  // @ts-expect-error there is no such channel
  useChannel('ordres', (body) => body.id)
}
BroadcasterProvider({ url: '/broadcast', channels })
// @ts-expect-error a client of one's own has its own option
BroadcasterProvider({ client, channels })

// The server.
const live = broadcaster({
  redis: false,
  channels,
  canConnect: () => ({ user: 5 }),
  canSubscribe: (_auth, channel, { user }, params) => {
    same<[typeof channel, typeof user], [string, number]>()
    same<
      typeof params,
      Record<'id' | 'name' | 'tenant', string | undefined> extends infer P ? Readonly<P> : never
    >()
    return params.id === '5'
  },
})
export const plain: Broadcaster['ready'] = live.ready
void live.publish('orders', { id: 5, at: '2026-01-01' })
void live.publish(`room:${id}`, { text: 'hello' })
void live.publish('room:1:user:bob', true)
// @ts-expect-error it is published as text, and parsed by the clients
void live.publish('orders', { id: 5, at: new Date() })
// @ts-expect-error there is no such channel
void live.publish('ordres', { id: 5, at: '' })
// @ts-expect-error a param has no separator
void live.publish('room:1:2', { text: 'hello' })
// @ts-expect-error any string may be no channel
void live.publish(id, { text: 'hello' })

// A param that every channel has is always there.
broadcaster({
  channels: defineChannels({ '{tenant}:orders': z.number(), '{tenant}:room:{id}': z.number() }),
  canSubscribe: (_auth, _channel, _context, params) => {
    same<typeof params, { readonly tenant: string; readonly id: string | undefined }>()
    return true
  },
})

// With a type of the context, the map is still an option.
broadcaster<{ user: number }>({ channels, canSubscribe: (_auth, _channel, { user }) => user === 5 })

// Without a map.
const any = broadcaster({
  canSubscribe: (_auth, _channel, _context, params) => (same<keyof typeof params, never>(), true),
})
same<typeof any, Broadcaster>()
void any.publish(id, { anything: 1 })
// @ts-expect-error schemas without defineChannels()
broadcaster({ channels: channels.schemas })

const match = channels.match(id)
if (match?.key === 'room:{id}:user:{name}')
  same<typeof match.params, { readonly id: string; readonly name: string }>()
same<ReturnType<typeof channels.decode<'room:42'>>, Room>()
// @ts-expect-error a room has a text
channels.encode('room:42', { open: true })
// @ts-expect-error zod 3.22 and others have no Standard Schema
defineChannels({ orders: { parse: (value: unknown) => value } })
