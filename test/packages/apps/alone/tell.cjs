// Starts a broadcaster on the Redis that the arguments name, and prints what became of it.
const [kind, url, ioredis] = process.argv.slice(2)

module.exports = async (broadcaster) => {
  const instance = kind === 'instance' ? new (require(ioredis).Redis)(url) : null
  const redis = { false: false, url, options: { host: '127.0.0.1', port: 1 }, instance }[kind]
  const logger = { debug() {}, info() {}, warn() {}, error: (_, text) => logged.push(text) }
  const logged = []
  const live = broadcaster({ redis, logger })
  const result = await live.ready().then(
    () => ({ isReady: true }),
    ({ name, code, message }) => ({ name, code, message }),
  )
  console.log(JSON.stringify({ ...result, logged }))
  await live.close()
  instance?.disconnect()
}
