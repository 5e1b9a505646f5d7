import { broadcaster } from '@broadcaster/server'
import express from 'express'
import next from 'next'

const port = Number(process.env.PORT ?? 3000)
// Without Redis for a first try. With REDIS_URL, whatever is published there arrives.
const live = broadcaster({ redis: process.env.REDIS_URL ?? false })
// Next bundles its own copies of modules, so the pages find it here.
globalThis.live = live
const pages = next({ dev: process.env.NODE_ENV !== 'production', port })
const handle = pages.getRequestHandler()
await Promise.all([pages.prepare(), live.ready()])

// The WebSocket of the broadcaster and the one of Next's hot reload share the server, in any order.
const app = express()
app.use('/broadcast', live)
app.use((req, res) => handle(req, res))
const server = app.listen(port, () => console.log(`http://localhost:${server.address().port}`))
