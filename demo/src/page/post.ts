/** Sends JSON to a route of the server. Rejects with the reason of the server. */
export async function post(path: string, body: object = {}, token?: string | null): Promise<unknown> {
  const response = await fetch(path, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...(token && { authorization: `Bearer ${token}` }) },
    body: JSON.stringify(body),
  })
  const answer = await response.json().catch(() => undefined)
  if (!response.ok) throw new Error(answer?.error ?? `the server answered ${response.status}`)
  return answer
}
