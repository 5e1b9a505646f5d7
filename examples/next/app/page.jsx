import { connection } from 'next/server'
import { addHeadline, getHeadlines } from './headlines.js'
import { News } from './News.jsx'

/** A server component. It renders what is stored, and the client component adds what is published. */
export default async function Page() {
  await connection() // Not at build time, but for every request.
  return (
    <main>
      <News stored={await getHeadlines()} />
      <form action={addHeadline}>
        <input name="text" aria-label="Headline" required />
        <button>Publish</button>
      </form>
    </main>
  )
}
