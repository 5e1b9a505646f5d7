import type { ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { holdEarlyData } from './earlyData.ts'

/**
 * Calls back when whatever was asked before on the same connection has been answered; never, if the connection ends before
 * that or with it. Node has taken its hands off a connection that is to be upgraded: an earlier answer that waits for room
 * is told of it here, and the connection's errors are taken.
 */
export function afterEarlierAnswers(socket: Duplex, then: () => void): void {
  if (answerInFlight(socket) === null) return then()
  const onDrain = () => {
    const answer = answerInFlight(socket)
    if (answer?.writableNeedDrain) answer.emit('drain')
  }
  const onError = () => socket.destroy()
  const next = () => {
    const answer = socket.writable ? answerInFlight(socket) : null
    if (answer !== null) return void answer.once('close', next)
    socket.off('drain', onDrain)
    putBack()
    // The error that has ended the answer is still on its way.
    if (!socket.writable) return void socket.destroy()
    socket.off('error', onError)
    then()
  }
  socket.on('drain', onDrain).on('error', onError)
  const putBack = holdEarlyData(socket)
  next()
}

/** Node keeps it there, and refuses a second one. No public name says as much. */
function answerInFlight(socket: Duplex): ServerResponse | null {
  return (socket as Duplex & { _httpMessage?: ServerResponse | null })._httpMessage ?? null
}
