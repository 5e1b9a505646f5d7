/** Publishes with a route of the server, like an application. Rejects with the reason of the server. */
export async function publish(channel: string, body: string): Promise<void> {
  const response = await fetch('/api/publish', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ channel, body }),
  })
  if (response.ok) return
  const answer = await response.json().catch(() => undefined)
  throw new Error(answer?.error ?? `the server answered ${response.status}`)
}
