import { defineChannels } from '@broadcaster/channels'
import { BroadcasterClient, BroadcasterError, shareTabs } from '@broadcaster/client'
import { BroadcasterDevtools } from '@broadcaster/devtools'
import { mountDevtools } from '@broadcaster/devtools/mount'
import {
  BroadcasterProvider,
  useBroadcaster,
  useChannel,
  useChannelMessages,
  useConnection,
} from '@broadcaster/react'
import { accept, broadcaster } from '@broadcaster/server'
import { openTelemetry } from '@broadcaster/server/opentelemetry'
import { prometheus } from '@broadcaster/server/prometheus'
import { createTestBroadcaster } from '@broadcaster/testing'
import { createTestBroadcaster as withoutReact } from '@broadcaster/testing/client'
import { z } from 'zod'

// None of these has a type annotation, so the declarations of the application have to name what is inferred.
export const channels = defineChannels({ orders: z.object({ id: z.number() }), 'room:{id}': z.string() })
export const match = channels.match('orders')
export const canConnect = () => accept({ user: 1 }, { expiresAt: new Date() })
export const live = broadcaster({ redis: false, channels, canConnect })
export const plain = broadcaster()
export const stats = live.stats()
export const stops = [prometheus(live), openTelemetry(live)]

export const client = new BroadcasterClient('/broadcast', { channels, shareTabs: shareTabs() })
export const stop = client.subscribe('orders', (body, message) => ({ body, message }))
export const snapshot = client.getSnapshot()
export const messages = client.messages('orders')
export const inspection = client.inspection
export const channelsOfClient = client.inspection.channels
export const errorOf = (error: unknown) => (error instanceof BroadcasterError ? error.code : undefined)
export const onGap: Parameters<typeof client.on<'gap'>>[1] = (gap) => gap.reason

export const useOrders = () => useChannelMessages('orders', { select: (body) => body })
export const useOrder = () => useChannel('orders', () => {})
export const useAll = () => [useConnection(), useBroadcaster()] as const
export const Provider = BroadcasterProvider
export const Devtools = BroadcasterDevtools
export const mount = mountDevtools

export const tested = createTestBroadcaster()
export const subscribed = tested.sent('subscribe')
export const sent = withoutReact().sent()
