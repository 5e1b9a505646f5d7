import { onTestFinished, vi } from 'vitest'

interface Request {
  readonly callback: () => unknown
  readonly resolve: (value: unknown) => void
  readonly reject: (reason: unknown) => void
}

/** Exclusive locks by the rules of Web Locks, for Node 20. Newer versions of Node have them as `navigator.locks`. */
class WebLocks {
  readonly #held = new Map<string, Request>()
  readonly #queues = new Map<string, Request[]>()

  request(
    name: string,
    { signal, steal = false }: { signal?: AbortSignal; steal?: boolean },
    callback: () => unknown,
  ): Promise<unknown> {
    return new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason)
      const request = { callback, resolve, reject }
      const queue = this.#queues.get(name) ?? []
      this.#queues.set(name, queue)
      if (steal) {
        this.#held.get(name)?.reject(new DOMException('The lock was stolen', 'AbortError'))
        this.#held.delete(name)
        queue.unshift(request)
      } else queue.push(request)
      signal?.addEventListener('abort', () => {
        const place = queue.indexOf(request)
        if (place < 0) return
        queue.splice(place, 1)
        reject(signal.reason)
      })
      setImmediate(() => void this.#next(name))
    })
  }

  async #next(name: string): Promise<void> {
    const request = this.#held.has(name) ? undefined : this.#queues.get(name)?.shift()
    if (!request) return
    this.#held.set(name, request)
    try {
      request.resolve(await request.callback())
    } catch (thrown) {
      request.reject(thrown)
    }
    if (this.#held.get(name) !== request) return
    this.#held.delete(name)
    await this.#next(name)
  }
}

/** The clients that the test makes from now on are tabs of one browser. */
export function stubBrowser(locks: { request(...args: any[]): Promise<unknown> } = new WebLocks()): void {
  vi.stubGlobal('navigator', { locks })
  onTestFinished(() => void vi.unstubAllGlobals())
}

/** What the next clients listen to on their page. Returns a function that dispatches an event there. */
export function stubPage(): (event: string, fields?: object) => void {
  const page = new EventTarget()
  vi.stubGlobal('addEventListener', page.addEventListener.bind(page))
  return (event, fields = {}) => void page.dispatchEvent(Object.assign(new Event(event), fields))
}
