import express from 'express'
import { broadcaster, type BroadcasterOptions } from '@broadcaster/server'
import { openTelemetry } from '@broadcaster/server/opentelemetry'
import { prometheus } from '@broadcaster/server/prometheus'

const webSocket: BroadcasterOptions['webSocket'] = {
  perMessageDeflate: { threshold: 100 },
  handleProtocols: (protocols, req) => protocols.find((name) => name === req.headers.host) ?? false,
}
express().use('/broadcast', broadcaster({ redis: false, webSocket }))

// @ts-expect-error the server has no such option
broadcaster({ webSocket: { autoPong: false } })
// @ts-expect-error it has a type, without the types of ws
broadcaster({ webSocket: 5 })

// The types of the exporters need neither prom-client nor @opentelemetry/api.
const live = broadcaster({ redis: false })
const stops: (() => void)[] = [prometheus(live, { prefix: 'chat_' }), openTelemetry(live, { name: 'chat' })]
// @ts-expect-error it is no register
prometheus(live, { register: stops })
