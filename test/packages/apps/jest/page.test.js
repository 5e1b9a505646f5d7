/** @jest-environment jsdom */
const { spawn } = require('node:child_process')
const { BroadcasterProvider, useChannelMessages } = require('@broadcaster/react')
const { BroadcasterClient } = require('@broadcaster/client')
const { BroadcasterDevtools } = require('@broadcaster/devtools')
const { act, render, screen } = require('@testing-library/react')
const { createElement, StrictMode } = require('react')

let child
let url

beforeAll(async () => {
  child = spawn(process.execPath, ['server.js'], { cwd: __dirname, stdio: ['pipe', 'pipe', 'inherit'] })
  url = await new Promise((resolve) => child.stdout.once('data', (line) => resolve(String(line).trim())))
})

afterAll(async () => {
  const ended = new Promise((resolve) => child.once('exit', resolve))
  child.stdin.end()
  await ended
})

function News() {
  const { messages, status } = useChannelMessages('news', { select: (body) => body })
  return createElement('p', null, `${status}: ${messages.join(' ')}`)
}

/** As somebody with a shell would: a page may not, from another origin. */
function publish(body) {
  const { request } = require('node:http')
  return new Promise((resolve, reject) => {
    request(new URL(`/publish/news/${body}`, url).href, { method: 'POST' })
      .on('response', (response) => response.resume().on('end', resolve))
      .on('error', reject)
      .end()
  })
}

const inStrictMode = (props) =>
  createElement(StrictMode, null, createElement(BroadcasterProvider, props, createElement(News)))

test('a component shows what is published', async () => {
  render(inStrictMode({ url }))
  await screen.findByText('subscribed:', {}, { timeout: 15_000 })
  await act(() => publish('hello'))
  await screen.findByText('subscribed: hello', {}, { timeout: 15_000 })
}, 60_000)

test('takes the client that a test made itself, of the one class there is', async () => {
  const client = new BroadcasterClient(url, { mode: 'websocket' })
  render(inStrictMode({ client }))
  await screen.findByText('subscribed:', {}, { timeout: 15_000 })
  await act(() => client.disconnect())
  await screen.findByText('subscribing:', {}, { timeout: 15_000 })
}, 60_000)

test('fake timers that were left behind stop no later test', async () => {
  jest.useFakeTimers({ doNotFake: ['queueMicrotask', 'nextTick', 'setImmediate', 'performance', 'Date'] })
  const client = new BroadcasterClient(url, { mode: 'websocket' })
  let arrived
  const first = new Promise((resolve) => (arrived = resolve))
  const { unmount } = render(createElement(BroadcasterProvider, { client }, createElement(News)))
  client.on('message', arrived)
  await act(() => client.subscribe('news', () => {}).ready)
  await publish('lost')
  await first
  unmount()
  jest.useRealTimers()
  await client.disconnect()

  render(inStrictMode({ url }))
  await screen.findByText('subscribed:', {}, { timeout: 15_000 })
  await act(() => publish('found'))
  await screen.findByText('subscribed: found', {}, { timeout: 15_000 })
}, 60_000)

test('shows the devtools, although jsdom lacks much of what browsers have', () => {
  const client = new BroadcasterClient(url)
  const { unmount } = render(
    createElement(
      BroadcasterProvider,
      { client },
      createElement(BroadcasterDevtools, { initialIsOpen: true }),
    ),
  )
  const { shadowRoot } = document.querySelector('broadcaster-devtools')
  expect(shadowRoot.querySelector('.status').textContent).toBe('Not connected yet')
  unmount()
  expect(document.querySelector('broadcaster-devtools')).toBeNull()
})
