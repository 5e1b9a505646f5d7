import { createRequire } from 'node:module'
import { transformSync } from '@babel/core'
import * as broadcaster from '@broadcaster/react'
import * as React from 'react'
import * as jsxRuntime from 'react/jsx-runtime'
import { describe, expect, it } from 'vitest'
import { channelName } from '../../support/names.ts'
import { onlyIf } from '../../support/onlyIf.ts'
import { renderApp, sees } from '../support.tsx'

const require = createRequire(import.meta.url)

const source = `
  import { useChannel, useChannelMessages, useConnection } from '@broadcaster/react'

  export function News({ name, label, heard }) {
    const connection = useConnection()
    const { messages, status } = useChannelMessages(name, {
      limit: 3,
      select: (body) => label + body,
    })
    const { latest } = useChannel(name, (body) => heard.push(label + body))
    const last = useChannel(name).latest
    const lines = messages.map((line) => <li key={line}>{line}</li>)
    return <p>{status} {connection.transport} {latest?.body} {last?.body} {lines}</p>
  }`

// Its rules are part of `npm run lint`, for the hooks, the devtools, the demo and the examples.
describe('React Compiler', () => {
  it(
    'a compiled component gets every message, and calls the newest handler',
    onlyIf('Activity' in React, 'the runtime of React Compiler, which React 18 does not have'),
    async () => {
      const { code } = transformSync(source, {
        filename: 'News.jsx',
        configFile: false,
        babelrc: false,
        presets: [[require.resolve('@babel/preset-react'), { runtime: 'automatic' }]],
        plugins: [
          [require.resolve('babel-plugin-react-compiler'), { panicThreshold: 'all_errors' }],
          require.resolve('@babel/plugin-transform-modules-commonjs'),
        ],
      })!
      expect(code).toContain('react/compiler-runtime')
      const modules: Record<string, unknown> = {
        '@broadcaster/react': broadcaster,
        'react/jsx-runtime': jsxRuntime,
        'react/compiler-runtime': require('react/compiler-runtime'),
      }
      const exports = {} as { News: React.FC<{ name: string; label: string; heard: string[] }> }
      new Function('exports', 'require', code!)(exports, (name: string) => modules[name])
      const { News } = exports

      const name = channelName()
      const heard: string[] = []
      const app = await renderApp(<News name={name} label="a" heard={heard} />)
      await sees(app, 'subscribed websocket')
      for (const body of ['1', '2']) await app.server.publish(name, body)
      await sees(app, 'subscribed websocket 2 2 a1a2')
      app.show(<News name={name} label="b" heard={heard} />)
      for (const body of ['3', '4']) await app.server.publish(name, body)
      await sees(app, 'subscribed websocket 4 4 a2b3b4')
      expect(heard).toEqual(['a1', 'a2', 'b3', 'b4'])

      // Another channel begins with nothing of the old one.
      app.show(<News name={channelName()} label="c" heard={heard} />)
      expect(app.container.textContent).toBe('subscribing websocket   ')
      await sees(app, 'subscribed websocket')
      expect(app.wire.connections).toBe(1)
    },
  )
})
