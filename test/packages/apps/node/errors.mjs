// What a client does with a wrong option, and with a path where there is no page: prints both errors.
import { BroadcasterClient } from '@broadcaster/client'

let option = null
try {
  new BroadcasterClient('/broadcast', { timeout: 0 })
} catch (error) {
  option = error.message
}
const { code, message } = await new BroadcasterClient('/broadcast').connect().catch((error) => error)
console.log(JSON.stringify({ option, code, message }))
