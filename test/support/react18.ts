import Module from 'node:module'

// The "react 18" project: whoever asks for `react` or `react-dom` gets the copies installed as `react18` and
// `react-dom18`, also from inside react-dom itself and the testing library, which an alias would not reach.
type Resolver = { _resolveFilename: (request: string, ...rest: unknown[]) => string }

const resolver = Module as unknown as Resolver
const original = resolver._resolveFilename
resolver._resolveFilename = (request, ...rest) =>
  original.call(Module, request.replace(/^(react|react-dom)(?=\/|$)/, '$118'), ...rest)
