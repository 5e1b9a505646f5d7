import { BroadcasterProvider } from '@broadcaster/react'

/** A server component. The provider is a client component, so its props are plain data here. */
export default function Layout({ children }) {
  return (
    <html lang="en">
      <body>
        <BroadcasterProvider url="/broadcast">{children}</BroadcasterProvider>
      </body>
    </html>
  )
}
