export function Intro() {
  return (
    <div className="intro">
      <h1>Every message, once, in order.</h1>
      <p>
        A simulator publishes prices, and each message has a number. Break the connection as you like: the
        numbers show that nothing is lost and nothing comes twice, or else the page is told that there is a
        gap.
      </p>
    </div>
  )
}
