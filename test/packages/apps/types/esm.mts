import express from 'express'
import { BroadcasterClient, type Message } from '@broadcaster/client'
import { closeCodes } from '@broadcaster/protocol'
import { BroadcasterProvider, useChannel, type Schema } from '@broadcaster/react'
import { metrics } from '@opentelemetry/api'
import { Registry } from 'prom-client'
import { broadcaster } from '@broadcaster/server'
import { openTelemetry } from '@broadcaster/server/opentelemetry'
import { prometheus } from '@broadcaster/server/prometheus'
import { createTestBroadcaster } from '@broadcaster/testing'
import { BroadcasterDevtools } from '@broadcaster/devtools'
import { mountDevtools } from '@broadcaster/devtools/mount'
import { mountDevtools as always } from '@broadcaster/devtools/mount/production'
import { BroadcasterDevtools as Always } from '@broadcaster/devtools/production'
import { createTestBroadcaster as withoutReact } from '@broadcaster/testing/client'

declare module '@broadcaster/client' {
  interface Channels {
    orders: { id: number }
  }
}

declare const orders: Schema<{ id: number }>
declare const strings: Schema<string>

const live = broadcaster({ redis: false })
express().use('/broadcast', live)
export const stops = [
  prometheus(live, { register: new Registry() }),
  openTelemetry(live, { meter: metrics.getMeter('app') }),
]
const client = new BroadcasterClient('/broadcast')
client.subscribe('orders', async (_body: string, message: Message) => void message.position)
export const provider = BroadcasterProvider({ client })
export const code: 4401 = closeCodes.unauthorized.code

export function Orders(): number | undefined {
  // @ts-expect-error the channel is declared otherwise
  useChannel('orders', { schema: strings })
  return useChannel('orders', { schema: orders, onMessage: async ({ id }) => id.toFixed() }).latest?.body.id
}

export const wrapper = createTestBroadcaster({ client: { mode: 'longpoll' } }).wrapper
export const positions: (string | undefined)[] = withoutReact()
  .sent('subscribe')
  .map(({ position }) => position)

export const ends: (() => void)[] = [mountDevtools(client, { position: 'top-left' }), always(client)]
export const nothing: null = (Always ?? BroadcasterDevtools)({ initialIsOpen: true })
