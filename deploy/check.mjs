// `node check.mjs /broadcast/health` ends with 0 if this path answers with 200. The image has no curl.
const port = process.env.PORT ?? 3000
const answer = await fetch(`http://127.0.0.1:${port}${process.argv[2]}`).catch(() => null)
process.exitCode = answer?.status === 200 ? 0 : 1
