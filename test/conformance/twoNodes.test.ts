import { conformance } from './suite.ts'
import { twoNodes } from './subjects.ts'

await conformance(twoNodes)
