// A server and a client of an application in CommonJS: prints where the packages came from, and what arrived.
const express = require('express')
const WebSocket = require('ws')
const { broadcaster } = require('@broadcaster/server')
const { BroadcasterClient } = require('@broadcaster/client')

const app = express()
const live = broadcaster({ redis: false })
app.use('/broadcast', live)
const server = app.listen(0, '127.0.0.1', async () => {
  const client = new BroadcasterClient(`http://127.0.0.1:${server.address().port}/broadcast`, { WebSocket })
  const arrived = new Promise((resolve) => client.subscribe('news', resolve))
  await client.subscribe('news', () => {}).ready
  await live.publish('news', 'hello')
  const body = await arrived
  await client.disconnect()
  await live.close()
  server.close()
  const isCommonJs = Object.keys(require.cache).some((path) => path.includes('@broadcaster'))
  console.log(
    JSON.stringify({
      body,
      isCommonJs: isCommonJs && require.resolve('@broadcaster/client').includes('cjs'),
    }),
  )
})
