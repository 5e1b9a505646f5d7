const express = require('express')
const { broadcaster } = require('@broadcaster/server')

/** A real server on a free port. Jest's pages are at http://localhost, which is another origin. */
exports.startServer = async () => {
  const app = express()
  const live = broadcaster({ redis: false, checkOrigin: () => true })
  app.use('/broadcast', live)
  app.post('/publish/:channel/:body', async (request, response) => {
    await live.publish(request.params.channel, request.params.body)
    response.end()
  })
  const server = await new Promise((resolve) => {
    const listening = app.listen(0, '127.0.0.1', () => resolve(listening))
  })
  return {
    url: `http://127.0.0.1:${server.address().port}/broadcast`,
    publish: (channel, body) => live.publish(channel, body),
    close: async () => {
      await live.close()
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    },
  }
}

// For pages, which can't be servers: a process of its own, which says where it is.
if (require.main === module) {
  exports.startServer().then(({ url }) => process.stdout.write(`${url}\n`))
  process.stdin.resume().on('end', () => process.exit())
}
