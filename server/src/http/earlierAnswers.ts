import type { ServerResponse } from 'node:http'
import type { Duplex } from 'node:stream'
import { holdEarlyData } from './earlyData.ts'

/**
 * Calls back when the answers to all earlier requests of the same connection are finished. If the connection ends
 * before that, or together with the last answer, it never calls back. Node has detached itself from a connection that
 * is to be upgraded. So this function forwards `drain` to an earlier answer that waits for room, and handles the errors
 * of the connection.
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
    // The error that ended the answer has not been emitted yet.
    if (!socket.writable) return void socket.destroy()
    socket.off('error', onError)
    then()
  }
  socket.on('drain', onDrain).on('error', onError)
  const putBack = holdEarlyData(socket)
  next()
}

/**
 * The answer that is being sent. Node stores it in this private property, and refuses to assign a second one. There is
 * no public API for it.
 */
function answerInFlight(socket: Duplex): ServerResponse | null {
  return (socket as Duplex & { _httpMessage?: ServerResponse | null })._httpMessage ?? null
}
