// A test of a client, in a project without React and without a test runner.
async function talk({ createTestBroadcaster }) {
  const { client, publish, close } = createTestBroadcaster()
  const heard = []
  client.subscribe('news', (body) => heard.push(body))
  await publish('news', 'hello')
  await close()
  console.log(JSON.stringify(heard))
}

const load = { import: (name) => import(name), require: async (name) => require(name) }
load[process.argv[2]]('@broadcaster/testing/client').then(talk)
