import { BroadcasterProvider, useChannelMessages, useConnection } from '@broadcaster/react'
import { Suspense, use } from 'react'

type PageProps = {
  /** Where the broadcaster is mounted. */
  readonly url: string
  /** What the late part of the page waits for. */
  readonly data: Promise<void>
}

/** A page whose server sends the early part at once, and the late one when it has its data. */
export function StreamedPage({ url, data }: PageProps) {
  return (
    <html lang="en">
      <body>
        <BroadcasterProvider url={url}>
          <News id="early" />
          <Suspense fallback={<p id="waiting">waiting</p>}>
            <Late data={data} />
          </Suspense>
        </BroadcasterProvider>
      </body>
    </html>
  )
}

function Late({ data }: Pick<PageProps, 'data'>) {
  use(data)
  return <News id="late" />
}

/** The messages of a channel. */
function News({ id }: { readonly id: string }) {
  const { messages, status } = useChannelMessages(id, { select: (body) => body })
  const connection = useConnection()
  return <p id={id}>{`${status} [${messages.join(' ')}] ${connection.status}`}</p>
}
