import { createServer } from 'node:http'
import { broadcaster } from '@broadcaster/server'
import express from 'express'

const app = express()
const server = createServer(app)
// Without Redis for a first try. With REDIS_URL, whatever is published there arrives: redis-cli PUBLISH news hello
const live = broadcaster({ redis: process.env.REDIS_URL ?? false })
app.use('/broadcast', live)
live.attach(server)
await live.ready()

app.post('/news', express.text(), async (req, res) => {
  await live.publish('news', req.body)
  res.status(204).end()
})

if (process.env.NODE_ENV === 'production') {
  app.use(express.static('dist'))
} else {
  const { createServer } = await import('vite')
  // The WebSocket of hot reload shares the server with the broadcaster's.
  const vite = await createServer({ server: { middlewareMode: true, hmr: { server } } })
  app.use(vite.middlewares)
}

server.listen(Number(process.env.PORT ?? 3000), () =>
  console.log(`http://localhost:${server.address().port}`),
)
