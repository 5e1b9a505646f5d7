import { useChannelMessages, useConnection } from '@broadcaster/react'

/** The state of each order: the newest message wins. */
export function Orders() {
  const { status: connection } = useConnection()
  const { messages, status, clear } = useChannelMessages('orders', {
    select: (body) => JSON.parse(body),
    reduce: (list, order) => [...list.filter(({ id }) => id !== order.id), order],
    onGap: () => clear(),
  })
  if (status === 'refused') return <p role="alert">These orders are not yours</p>
  return (
    <>
      {connection === 'reconnecting' && <p role="status">Reconnecting</p>}
      <ul>
        {messages.map(({ id, state }) => (
          <li key={id}>
            {id}: {state}
          </li>
        ))}
      </ul>
    </>
  )
}
