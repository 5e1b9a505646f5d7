import express from 'express'
import { BroadcasterClient, type Message } from '@broadcaster/client'
import { closeCodes } from '@broadcaster/protocol'
import { BroadcasterProvider, useChannel, type Schema } from '@broadcaster/react'
import { broadcaster } from '@broadcaster/server'

declare module '@broadcaster/client' {
  interface Channels {
    orders: { id: number }
  }
}

declare const orders: Schema<{ id: number }>
declare const strings: Schema<string>

express().use('/broadcast', broadcaster({ redis: false }))
const client = new BroadcasterClient('/broadcast')
client.subscribe('orders', async (_body: string, message: Message) => void message.position)
export const provider = BroadcasterProvider({ client })
export const code: 4401 = closeCodes.unauthorized.code

export function Orders(): number | undefined {
  // @ts-expect-error the channel is declared otherwise
  useChannel('orders', { schema: strings })
  return useChannel('orders', { schema: orders, onMessage: async ({ id }) => id.toFixed() }).latest?.body.id
}
