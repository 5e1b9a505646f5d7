import { expect, it } from 'vitest'
import { isPrivateAddress } from '../../server/src/input/ipAddress.ts'

it.each([
  '127.0.0.1',
  '127.255.0.1',
  '10.1.2.3',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.1.1',
  '100.64.0.1',
  '169.254.1.1',
  '::ffff:10.1.2.3',
  '::1',
  'fc00::1',
  'fd12:3456::1',
  'fe80::1',
  'fe80::1%eth0',
  'febf::1%12',
])('a proxy of the application may have the address %s', (address) => {
  expect(isPrivateAddress(address)).toBe(true)
})

it.each([
  '126.255.255.255',
  '128.0.0.1',
  '11.0.0.1',
  '172.15.255.255',
  '172.32.0.1',
  '192.169.0.1',
  '100.128.0.1',
  '169.255.0.1',
  '::ffff:8.8.8.8',
  '::2',
  'fb00::1',
  'fec0::1',
  '2001:db8::1',
  '2001:db8::1%eth0',
  'unknown',
  '',
])('a proxy of the application does not have the address %j', (address) => {
  expect(isPrivateAddress(address)).toBe(false)
})
