import { conformance } from './suite.ts'
import { inMemory } from './subjects.ts'

await conformance(inMemory)
