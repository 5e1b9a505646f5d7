import type { FetchLike } from '@broadcaster/client'
import { authExpected, type Answer } from '../server/answers.ts'
import { longPoll } from '../server/longPoll.ts'
import type { TestServer } from '../server/testServer.ts'
import { Line } from './line.ts'
import type { Network } from './network.ts'

/** A function like `fetch` that sends long-poll requests to the server, whatever their URL is. */
export function fetchTo(server: TestServer, network: Network): FetchLike {
  return (_url, { body, signal }) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const line = new Line(network)
      const isOfSession = body.includes('"__token"')
      let isOver = false
      let leave = () => {}
      const give = ({ status }: Answer, messages: Answer['messages']) => {
        if (isOver) return
        end()
        const text = JSON.stringify(messages)
        resolve({ status, text: async () => text })
      }
      const fail = (error: unknown) => {
        if (isOver) return
        end()
        leave()
        line.cut()
        reject(error)
      }
      const onAbort = () => fail(signal.reason)
      const lose = () => {
        // The session is lost with the network. Otherwise the client would take this for a single lost answer, and the test had
        // to wait for another one until the client shows that it is not connected.
        if (!isOfSession) return fail(new TypeError('Failed to fetch'))
        leave()
        line.cut()
        give(authExpected(), authExpected().messages)
      }
      const stopListening = network.onDrop(lose)
      const end = () => {
        isOver = true
        stopListening()
        signal?.removeEventListener('abort', onAbort)
      }
      signal?.addEventListener('abort', onAbort)
      if (!network.isUp) return void Promise.resolve().then(lose)
      network.receive(body, () => {
        if (isOver) return
        leave = longPoll(server, body, (answer) =>
          line.send(answer.messages, (messages) => give(answer, messages)),
        )
      })
    })
}
