/**
 * Declarations for the snippets of the documents: the application around them, and imports of an earlier snippet of the same
 * document. A snippet that declares or imports one of these names uses its own.
 */
import type { ChannelMap } from '@broadcaster/channels'
import type * as client from '@broadcaster/client'
import type * as react from '@broadcaster/react'
import type * as kit from '@broadcaster/server'
import type { Express } from 'express'
import type expressSession from 'express-session'
import type nodeHttps from 'node:https'
import type { ReactNode } from 'react'
import type * as React from 'react'
import type { Root } from 'react-dom/client'
import type { z } from 'zod'

declare module 'express-session' {
  interface SessionData {
    user: { id: string; admin: boolean }
  }
}

declare global {
  // The server
  const broadcaster: typeof kit.broadcaster
  const app: Express
  const live: kit.Broadcaster
  const server: nodeHttps.Server
  const https: typeof nodeHttps
  const options: nodeHttps.ServerOptions
  const session: typeof expressSession
  function verify(token: unknown): Promise<{ sub: string; exp: number }>

  // The page
  const BroadcasterClient: typeof client.BroadcasterClient
  const BroadcasterProvider: typeof react.BroadcasterProvider
  const useChannel: typeof react.useChannel
  const useChannelMessages: typeof react.useChannelMessages
  const useConnection: typeof react.useConnection
  const useBroadcaster: typeof react.useBroadcaster
  const useState: typeof React.useState
  const useEffect: typeof React.useEffect
  const root: Root
  const token: string
  function currentToken(): string
  function freshToken(): Promise<string>
  function show(value: unknown): void
  function refetchNews(): void
  function App(): ReactNode
  function News(): ReactNode
  function Table(props: { rows: Order[] }): ReactNode

  interface Order {
    id: string
  }
  const Order: z.ZodType<Order>
  interface RoomMessage {
    text: string
  }
  const RoomMessage: z.ZodType<RoomMessage>
  const channels: ChannelMap<{ orders: typeof Order; 'room:{id}': typeof RoomMessage }>
  function roomsOf(token: unknown): Promise<string[]>

  // TanStack Query
  function useQueryClient(): { invalidateQueries(filter: { queryKey: string[] }): Promise<void> }
  function useQuery(options: { queryKey: string[]; queryFn: () => Promise<Order[]>; enabled: boolean }): {
    data: Order[] | undefined
  }
  function fetchOrders(): Promise<Order[]>
}
