import type { ClientMessage, ServerMessage } from '@broadcaster/protocol'
import { backoffMs, readRetryAfter } from './backoff.ts'
import { isDevelopment } from './development.ts'
import { BroadcasterError } from './errors.ts'
import { fetchOf, required, resolveUrl } from './options.ts'
import type { OpenTransport, Transport } from './transport.ts'
import { HASTY_POLL_MS, POLL_MARGIN_MS, TOO_MANY_REQUESTS_MS } from './times.ts'

export const openLongPoll: OpenTransport = ({ settings, auth, limitMs }, handlers) => {
  const fetch = required(
    fetchOf(settings),
    isDevelopment && 'This platform has no fetch: pass one as the fetch option',
  )
  const url = resolveUrl(settings, 'http')
  const headers = { ...settings.headers, 'Content-Type': 'application/json' }
  const running = new Set<AbortController>()
  let isOver = false
  let token: string | undefined
  let failures = 0
  /** The last poll. */
  let poll: AbortController | undefined
  /** Ends the pause before the next poll. */
  let endPause: (() => void) | undefined
  /** The server asked us not to send a poll before this time. */
  let notBefore = 0

  const run = async () => {
    const answers = await request(auth, limitMs)
    const answer = answers.find((message) => message.__type === 'authOk')!
    token = answer?.__token
    if (!token) {
      throw new BroadcasterError('connection', isDevelopment && 'The answer to auth has no session token')
    }
    if (isOver) return
    transport.hasAdditions = transport.hasPositionsInPolls = answer.__v! >= 1
    handlers.onOpen(transport, answer)
    for (let seq = 0; !isOver;) {
      const sentAt = Date.now()
      poll = new AbortController()
      const messages = await request(
        {
          __type: 'poll',
          seq: String(seq),
          // A value that is undefined is not sent.
          positions: transport.hasAdditions ? handlers.receiver.positions() : undefined,
        },
        settings.timeoutMs + POLL_MARGIN_MS,
        poll,
      ).catch(pollFailed)
      // The same poll is sent again, and gets the same answer.
      if (!messages) continue
      seq++
      if (failures > 0) {
        failures = 0
        handlers.onRecovery()
      }
      receive(messages)
      if (!messages.length && Date.now() - sentAt < HASTY_POLL_MS) await pause(backoffMs(1))
    }
  }

  /** Throws only a BroadcasterError. */
  const request = async (message: ClientMessage, withinMs: number, abort = new AbortController()) => {
    const timer = setTimeout(() => {
      abort.abort(
        new BroadcasterError('timeout', isDevelopment && `The server did not answer within ${withinMs} ms`),
      )
    }, withinMs)
    running.add(abort)
    try {
      const body = JSON.stringify({ ...message, __token: token })
      const response = await fetch(url, { method: 'POST', headers, body, signal: abort.signal })
      return readAnswer(response.status, await response.text(), response.headers?.get('retry-after'))
    } catch (thrown) {
      throw BroadcasterError.from(abort.signal.reason ?? thrown, 'connection')
    } finally {
      clearTimeout(timer)
      running.delete(abort)
    }
  }

  const receive = (messages: readonly ServerMessage[]) => {
    for (const message of messages) if (message && !isOver) handlers.receiver.receive(message)
  }

  const pollFailed = async (error: BroadcasterError): Promise<undefined> => {
    if (endsWith(error) || error.code === 'aborted') return
    failures++
    const retryInMs = backoffMs(failures, error)
    notBefore = Date.now() + (error.retryAfterMs ?? 0)
    handlers.onTrouble(error, failures, retryInMs)
    await pause(retryInMs)
  }

  /**
   * Whether this is the end. If the session does not exist any more, the next `auth` shows whether the credentials are still
   * accepted.
   */
  const endsWith = (error: BroadcasterError) => {
    if (error.code === 'unauthorized') {
      end(new BroadcasterError('reauthorize', isDevelopment && 'The session has expired', error))
    }
    return isOver
  }

  const pause = (ms: number) =>
    new Promise<void>((resolve) => {
      if (isOver) return resolve()
      const timer = setTimeout(resolve, ms)
      endPause = () => {
        clearTimeout(timer)
        resolve()
      }
    })

  const stop = () => {
    isOver = true
    for (const abort of running) abort.abort()
    endPause?.()
  }
  const end = (error: BroadcasterError) => {
    if (isOver) return
    stop()
    handlers.onEnd(error)
  }

  const transport: Transport = {
    name: 'longpoll',
    send: (message) => {
      if (isOver) return
      request(message, settings.timeoutMs)
        .then(receive)
        .catch((error: BroadcasterError) => {
          if (endsWith(error)) return
          handlers.receiver.fail(
            message.channel,
            new BroadcasterError('serverError', false, error, error.retryAfterMs),
          )
        })
    },
    check: () => {
      if (Date.now() >= notBefore) endPause?.()
      // A server without the additions does not notice that a poll was aborted, and loses the messages of its answer.
      if (transport.hasAdditions) poll?.abort(new BroadcasterError('aborted', false))
    },
    close: async () => stop(),
  }
  run().catch((thrown: unknown) => end(BroadcasterError.from(thrown)))
  return transport
}

/** An answer that is not an array of messages, for instance the page of a captive portal, counts as a lost answer. */
function readAnswer(status: number, text: string, retryAfter?: string | null): ServerMessage[] {
  let messages: ServerMessage[] | undefined
  try {
    messages = JSON.parse(text)
  } catch {
    // The error below reports it, with the status.
  }
  if (!Array.isArray(messages)) messages = undefined
  const reason = (messages?.[0] as { reason?: string } | null | undefined)?.reason
  if (status === 401 || status === 403) {
    throw new BroadcasterError('unauthorized', reason ?? `HTTP ${status}`)
  }
  if (status === 200 && messages) return messages
  const words = reason ? ` ${reason}` : isDevelopment && status === 200 ? ' without an array of messages' : ''
  const waitMs = status === 429 || status === 503 ? readRetryAfter(retryAfter) : undefined
  throw new BroadcasterError(
    'connection',
    `HTTP ${status}${words}`,
    undefined,
    status === 429 ? (waitMs ?? TOO_MANY_REQUESTS_MS) : waitMs,
  )
}
