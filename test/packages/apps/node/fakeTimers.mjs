// A test with the fake timers of Sinon, which replace the timers of Node's module too. They are there when React first needs act(),
// and with the argument `before` also when the packages are loaded. Prints what the page shows.
import FakeTimers from '@sinonjs/fake-timers'
import { Window } from 'happy-dom'

const window = new Window()
Object.assign(globalThis, { window, document: window.document, IS_REACT_ACT_ENVIRONMENT: true })
globalThis.navigator ??= window.navigator

const when = process.argv[2]
if (when === 'before') FakeTimers.install({ toFake: ['setTimeout', 'setImmediate', 'queueMicrotask'] })
const { createTestBroadcaster } = await import('@broadcaster/testing')
const { useChannel } = await import('@broadcaster/react')
const { act, createElement } = await import('react')
const { createRoot } = await import('react-dom/client')
if (when === 'after') FakeTimers.install({ toFake: ['setTimeout', 'setImmediate', 'queueMicrotask'] })

const News = () => useChannel('news').latest?.body ?? 'nothing'
const { wrapper, publish } = createTestBroadcaster()
const page = window.document.createElement('div')
act(() => createRoot(page).render(createElement(wrapper, null, createElement(News))))
await publish('news', 'one')
await publish('news', 'two')
console.log(page.textContent)
process.exit()
