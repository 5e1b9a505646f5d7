import { cleanup } from '@testing-library/react'
import { afterAll, afterEach } from 'vitest'
import { stopServers } from './support.tsx'

// Vitest runs this for each file, also where files share a process and its modules.
afterEach(cleanup)
afterAll(stopServers)
