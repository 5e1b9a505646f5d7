/** Publishes by the server's own route, as an application would. Rejects with the server's reason. */
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
