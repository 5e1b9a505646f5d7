import Module from 'node:module'

// The "react 18" project. Imports of `react` and `react-dom` resolve to the copies that are installed as `react18` and
// `react-dom18`. This includes imports in react-dom and in the testing library, for which an alias does not work.
type Resolver = { _resolveFilename: (request: string, ...rest: unknown[]) => string }

const resolver = Module as unknown as Resolver
const original = resolver._resolveFilename
resolver._resolveFilename = (request, ...rest) =>
  original.call(Module, request.replace(/^(react|react-dom)(?=\/|$)/, '$118'), ...rest)
