// @vitest-environment happy-dom
import { BroadcasterClient } from '@broadcaster/client'
import { useConnection } from '@broadcaster/react'
import { render, screen } from '@testing-library/react'
import legacy from 'legacy-library'
import { createElement } from 'react'
import { expect, it } from 'vitest'

it('has one of each class and context', () => {
  const client = new BroadcasterClient('/broadcast')
  expect(client).toBeInstanceOf(legacy.BroadcasterClient)
  const Status = () => useConnection().status
  render(createElement(legacy.BroadcasterProvider, { client }, createElement(Status)))
  expect(screen.getByText('idle')).toBeDefined()
})
