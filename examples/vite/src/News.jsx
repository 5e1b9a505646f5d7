import { useChannelMessages } from '@broadcaster/react'

export function News() {
  const { messages, status } = useChannelMessages('news', { limit: 50 })

  async function publish(form) {
    await fetch('/news', { method: 'POST', body: form.get('text') })
  }

  return (
    <main>
      <h1>News</h1>
      <p role="status">{status}</p>
      <ul>
        {messages.map(({ id, body }) => (
          <li key={id}>{body}</li>
        ))}
      </ul>
      <form action={publish}>
        <input name="text" aria-label="Headline" required />
        <button>Publish</button>
      </form>
    </main>
  )
}
