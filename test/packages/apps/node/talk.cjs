// A server and a client of an application in CommonJS: prints where the packages came from, and what arrived on each transport.
const express = require('express')
const WebSocket = require('ws')
const { broadcaster } = require('@broadcaster/server')
const { BroadcasterClient } = require('@broadcaster/client')

const app = express()
const live = broadcaster({ redis: false })
app.use('/broadcast', live)
const server = app.listen(0, '127.0.0.1', async () => {
  const url = `http://127.0.0.1:${server.address().port}/broadcast`
  const bodies = {}
  for (const mode of ['websocket', 'longpoll']) {
    const client = new BroadcasterClient(url, { mode, WebSocket })
    const arrived = new Promise((resolve) => client.subscribe('news', resolve))
    await client.subscribe('news', () => {}).ready
    await live.publish('news', `hello on ${mode}`)
    bodies[mode] = await arrived
    await client.disconnect()
  }
  await live.close()
  server.close()
  const isCommonJs = Object.keys(require.cache).some((path) => path.includes('@broadcaster'))
  console.log(
    JSON.stringify({
      bodies,
      isCommonJs: isCommonJs && require.resolve('@broadcaster/client').includes('cjs'),
      isProduction: require.resolve('@broadcaster/client').includes('production'),
    }),
  )
})
