import { broadcaster } from '@broadcaster/server'
import tell from './tell.cjs'

await tell(broadcaster)
