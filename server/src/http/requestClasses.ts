import { IncomingMessage, ServerResponse, Server as HttpServer } from 'node:http'
import { Server as HttpsServer } from 'node:https'

type ResponseClass = typeof ServerResponse<IncomingMessage>

interface Classes {
  readonly Request: typeof IncomingMessage
  readonly Response: ResponseClass
}

/** An Express application. It has the prototypes of its requests and responses. */
interface Application {
  request: object
  response: object
}

const seen = new WeakSet<object>()
const ofApplications = new WeakMap<Application, Classes>()
const ofServers = new WeakMap<object, Classes>()

/**
 * Makes the requests of this server cheaper. Express changes the prototype of each request and response, which takes 5 % of the time
 * of a poll. In Node 20 and 22, whose V8 is before version 13, V8 also makes a new hidden class for each property that is added after
 * that, for each single object. So no code that uses these objects is optimized, and a poll takes three times the CPU time
 * (https://github.com/nodejs/node/issues/37457).
 *
 * Node creates the objects from classes that are options of `http.createServer`. Here the server gets classes with the prototypes
 * that Express will set, so that Express changes nothing. This is only done if an Express application is the first listener for the
 * requests of the server, because then all requests get these prototypes anyway.
 *
 * @param req A request that has reached our routes.
 */
export function usePrototypesOfExpress(req: IncomingMessage): void {
  const { server } = req.socket as { server?: object }
  if (server === undefined || seen.has(server)) return
  seen.add(server)
  if (!(server instanceof HttpServer || server instanceof HttpsServer)) return
  const [app] = server.listeners('request')
  if (!isApplication(app) || Object.getPrototypeOf(req) !== app.request) return
  const restore = setClasses(server, () => classesFor(app))
  if (restore === null) return
  // Another listener expects ordinary objects.
  const onListener = (event: string | symbol) => {
    if (event !== 'request') return
    server.off('newListener', onListener)
    restore()
  }
  server.on('newListener', onListener)
}

/** The class for a response that is made for this server. */
export function responseClassOf(server: object): ResponseClass {
  return ofServers.get(server)?.Response ?? ServerResponse
}

/**
 * Replaces the classes of a server, if it has those of Node. Returns a function that restores them, or `null`. The options of
 * `http.createServer` are kept under symbols, which have no public name.
 */
function setClasses(server: object, classes: () => Classes): (() => void) | null {
  const symbols = Object.getOwnPropertySymbols(server)
  const request = symbols.find(({ description }) => description === 'IncomingMessage')
  const response = symbols.find(({ description }) => description === 'ServerResponse')
  if (request === undefined || response === undefined) return null
  const fields = server as Record<symbol, unknown>
  if (fields[request] !== IncomingMessage || fields[response] !== ServerResponse) return null
  const { Request, Response } = classes()
  ofServers.set(server, { Request, Response })
  fields[request] = Request
  fields[response] = Response
  return () => {
    ofServers.delete(server)
    fields[request] = IncomingMessage
    fields[response] = ServerResponse
  }
}

function classesFor(app: Application): Classes {
  let classes = ofApplications.get(app)
  if (classes === undefined) {
    classes = { Request: class extends IncomingMessage {}, Response: class extends ServerResponse {} }
    app.request = inheriting(classes.Request.prototype, app.request)
    app.response = inheriting(classes.Response.prototype, app.response)
    ofApplications.set(app, classes)
  }
  return classes
}

/** The prototype of a class can't be replaced. So it inherits from that of the application, and takes its place. */
function inheriting(prototype: object, from: object): object {
  Reflect.deleteProperty(prototype, 'constructor')
  return Object.setPrototypeOf(prototype, from) as object
}

function isApplication(listener: unknown): listener is Application {
  return typeof listener === 'function' && 'mountpath' in listener && 'request' in listener
}
