import { spawnSync } from 'node:child_process'
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseArgs } from 'node:util'
import { bundleSize } from '../test/support/bundleSize.ts'

/**
 * Prints what each client adds to a bundle for production, beside the clients of peers that also fall back from WebSocket to another
 * transport. With `--files`, also which of our files has how many bytes before compression.
 */

interface Client {
  readonly name: string
  readonly code: string
  readonly packageName: string
}

const ours: Client[] = [
  {
    name: '@broadcaster/client',
    code: "export { BroadcasterClient } from '@broadcaster/client'",
    packageName: '@broadcaster/client',
  },
  {
    name: '@broadcaster/react and client',
    code: "export { BroadcasterClient, BroadcasterError } from '@broadcaster/client'; export * from '@broadcaster/react'",
    packageName: '@broadcaster/react',
  },
]

const peers: Client[] = [
  { name: 'phoenix', code: "export { Socket, LongPoll } from 'phoenix'", packageName: 'phoenix' },
  {
    name: '@anycable/web',
    code: "export { createCable } from '@anycable/web'",
    packageName: '@anycable/web',
  },
  {
    name: 'socket.io-client',
    code: "export { io } from 'socket.io-client'",
    packageName: 'socket.io-client',
  },
  { name: 'pusher-js', code: "export { default } from 'pusher-js'", packageName: 'pusher-js' },
]

const { values } = parseArgs({ options: { files: { type: 'boolean', default: false } } })
const directory = fileURLToPath(new URL('.', import.meta.url))
const root = fileURLToPath(new URL('..', import.meta.url))

for (const workspace of ['protocol', 'channels', 'client', 'react']) {
  const { status } = spawnSync('npm', ['run', 'build', '-w', workspace, '--silent'], {
    cwd: root,
    stdio: 'inherit',
  })
  if (status !== 0) process.exit(1)
}

console.log('| client | version | gzip | bytes |\n| --- | --- | ---: | ---: |')
for (const client of [...ours, ...peers]) {
  const { gzip } = await bundleSize(client.code, directory)
  console.log(
    `| ${client.name} | ${versionOf(client.packageName)} | ${(gzip / 1000).toFixed(1)} KB | ${gzip.toLocaleString('en')} |`,
  )
}

if (values.files) {
  const { metafile } = await bundleSize(ours.at(-1)!.code, directory)
  const [output] = Object.values(metafile.outputs)
  const files = Object.entries(output!.inputs).toSorted(([, a], [, b]) => b.bytesInOutput - a.bytesInOutput)
  console.log('\n| file | bytes before compression |\n| --- | ---: |')
  for (const [file, { bytesInOutput }] of files) console.log(`| ${file} | ${bytesInOutput} |`)
}

/** Read from the directory, because not all packages export their `package.json`. */
function versionOf(name: string): string {
  const directories = [directory, root].map((parent) => join(parent, 'node_modules', name))
  const description = join(directories.find(existsSync)!, 'package.json')
  return (JSON.parse(readFileSync(description, 'utf8')) as { version: string }).version
}
