/** Shows the newest 50 headlines, and the status of the channel. Returns a function that ends this. */
export function watchNews(client, { showStatus, showNews }) {
  let headlines = []
  const show = (next) => showNews((headlines = next))
  return client.subscribe('news', (headline) => show([...headlines, headline].slice(-50)), {
    onStatus: showStatus,
    // Messages were missed, and the server can't bring them back.
    onGap: () => show([]),
  })
}
