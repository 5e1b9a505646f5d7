'use client'

import { useChannelMessages } from '@broadcaster/react'
import { useRouter } from 'next/navigation'
import { useEffect } from 'react'

export function News({ stored }) {
  const router = useRouter()
  const { messages, status } = useChannelMessages('news', {
    select: (body) => JSON.parse(body),
    // Messages were missed: the server renders again what is stored.
    onGap: () => router.refresh(),
  })
  // Headlines that were published between the render on the server and now.
  useEffect(() => {
    if (status === 'subscribed') router.refresh()
  }, [status, router])

  // A headline may be both stored and a message.
  const headlines = new Map([...stored, ...messages].map((headline) => [headline.id, headline]))
  return (
    <section>
      <p role="status">{status}</p>
      <ul>
        {[...headlines.values()].map(({ id, text }) => (
          <li key={id}>{text}</li>
        ))}
      </ul>
    </section>
  )
}
