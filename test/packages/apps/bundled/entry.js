import { BroadcasterClient } from '@broadcaster/client'
import { useConnection } from '@broadcaster/react'
import legacy from 'legacy-library'
import { createElement } from 'react'

/** An application's hook below a library's provider, with an application's client: all work if there is one of each. */
export const client = new BroadcasterClient('/broadcast')
export const isOne = client instanceof legacy.BroadcasterClient
const Status = () => useConnection().status
export const element = createElement(legacy.BroadcasterProvider, { client }, createElement(Status))
