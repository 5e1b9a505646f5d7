import { fileURLToPath } from 'node:url'
import { broadcaster } from '@broadcaster/server'
import express from 'express'

// Without Redis for a first try. With REDIS_URL, whatever is published there arrives: redis-cli PUBLISH news hello
const live = broadcaster({ redis: process.env.REDIS_URL ?? false })
const app = express()
app.use('/broadcast', live)

app.post('/news', express.text(), async (req, res) => {
  await live.publish('news', req.body)
  res.status(204).end()
})

// The page needs no bundler: the client is one file.
const client = fileURLToPath(new URL('dist/', import.meta.resolve('@broadcaster/client/package.json')))
app.use('/client', express.static(client))
app.use(express.static(fileURLToPath(new URL('public', import.meta.url))))

await live.ready()
const server = app.listen(Number(process.env.PORT ?? 3000), () =>
  console.log(`http://localhost:${server.address().port}`),
)
