import { conformance } from './suite.ts'
import { redis } from './subjects.ts'

await conformance(redis)
