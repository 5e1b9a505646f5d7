// What import gets beside what require() gets: prints the names that differ, and what both made of them together.
import { createElement } from 'react'
import { renderToString } from 'react-dom/server'
import { BroadcasterClient, BroadcasterError } from '@broadcaster/client'
import { useConnection } from '@broadcaster/react'
import legacy from './legacy.cjs'

const different = []
const counts = {}
for (const [name, required] of Object.entries(legacy)) {
  const imported = await import(`@broadcaster/${name}`)
  const names = new Set([...Object.keys(imported), ...Object.keys(required)])
  names.delete('__esModule')
  counts[name] = names.size
  for (const key of names) if (imported[key] !== required[key]) different.push(`${name} ${key}`)
}

let error
try {
  new legacy.client.BroadcasterClient('')
} catch (thrown) {
  error = thrown
}

// The provider of a library and the hook of the application.
const Status = () => useConnection().status
const client = new BroadcasterClient('/broadcast')
const rendered = renderToString(
  createElement(legacy.react.BroadcasterProvider, { client }, createElement(Status)),
)
console.log(JSON.stringify({ different, counts, isSameError: error instanceof BroadcasterError, rendered }))
