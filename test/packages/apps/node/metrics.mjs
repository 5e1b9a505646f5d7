// Exporters by import and by require(), of a broadcaster that was made by the other one. Prints what both show.
import { createRequire } from 'node:module'
import { metrics } from '@opentelemetry/api'
import { Registry } from 'prom-client'
import { broadcaster } from '@broadcaster/server'
import { openTelemetry } from '@broadcaster/server/opentelemetry'
import { prometheus } from '@broadcaster/server/prometheus'

const require = createRequire(import.meta.url)
const required = {
  broadcaster: require('@broadcaster/server').broadcaster,
  prometheus: require('@broadcaster/server/prometheus').prometheus,
  openTelemetry: require('@broadcaster/server/opentelemetry').openTelemetry,
}
const shown = []
for (const [make, exporter, other] of [
  [broadcaster, required.prometheus, required.openTelemetry],
  [required.broadcaster, prometheus, openTelemetry],
]) {
  const live = make({ redis: false })
  const register = new Registry()
  exporter(live, { register })
  other(live, { meter: metrics.getMeter('app'), name: String(shown.length) })
  shown.push((await register.metrics()).includes('broadcaster_channels 0'))
  await live.close()
  shown.push((await register.metrics()).trim())
}
console.log(JSON.stringify({ shown, isSame: prometheus === required.prometheus }))
