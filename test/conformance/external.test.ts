import { describe, it } from 'vitest'
import { onlyIf } from '../support/onlyIf.ts'
import { conformance } from './suite.ts'
import { external } from './subjects.ts'

const { CONFORMANCE_URL: url, CONFORMANCE_REDIS_URL: redisUrl } = process.env

const needsAddress = onlyIf(
  false,
  'its address in CONFORMANCE_URL, and that of its Redis in CONFORMANCE_REDIS_URL',
)

if (url && redisUrl) await conformance(external(url, redisUrl))
else describe('another implementation', () => it('follows the rules', needsAddress, () => {}))
