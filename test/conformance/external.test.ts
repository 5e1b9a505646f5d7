import { describe, it } from 'vitest'
import { conformance } from './suite.ts'
import { external } from './subjects.ts'

const { CONFORMANCE_URL: url, CONFORMANCE_REDIS_URL: redisUrl } = process.env

if (url && redisUrl) await conformance(external(url, redisUrl))
else
  describe('a server elsewhere', () => it.skip('is at CONFORMANCE_URL and CONFORMANCE_REDIS_URL', () => {}))
