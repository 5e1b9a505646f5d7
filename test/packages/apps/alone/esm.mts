import express from 'express'
import { broadcaster, type BroadcasterOptions } from '@broadcaster/server'

const webSocket: BroadcasterOptions['webSocket'] = {
  perMessageDeflate: { threshold: 100 },
  handleProtocols: (protocols, req) => protocols.find((name) => name === req.headers.host) ?? false,
}
express().use('/broadcast', broadcaster({ redis: false, webSocket }))

// @ts-expect-error the server has no such option
broadcaster({ webSocket: { autoPong: false } })
// @ts-expect-error it has a type, without the types of ws
broadcaster({ webSocket: 5 })
