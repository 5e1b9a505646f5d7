import { useChannelMessages } from '@broadcaster/react'

export function Chat({ room }) {
  const { messages, status, error } = useChannelMessages(`room:${room}`, {
    limit: 50,
    selectGap: () => ({ id: 'gap', body: 'Some messages are missing' }),
  })
  if (status === 'refused' || status === 'error') return <p role="alert">{error.code}</p>
  return (
    <>
      <p role="status">{status}</p>
      <ol>
        {messages.map(({ id, body }) => (
          <li key={id}>{body}</li>
        ))}
      </ol>
    </>
  )
}
