import { Registry } from 'prom-client'
import { serveBroadcaster } from '../relay/broadcaster.ts'
import { prometheus } from '@broadcaster/server/prometheus'

/** How often Prometheus scrapes by default is each 15 seconds or each minute. */
const SCRAPE_MS = 1000

/** This kit with its metrics, which are scraped each second. The difference to `broadcaster` is the cost of metrics. */
await serveBroadcaster({}, (live) => {
  const register = new Registry()
  prometheus(live, { register })
  setInterval(() => void register.metrics(), SCRAPE_MS)
})
