import { conformance } from './suite.ts'
import { memory } from './subjects.ts'

await conformance(memory)
