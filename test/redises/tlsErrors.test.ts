import { expect, it } from 'vitest'
import { explainTls } from '../../server/src/backends/tlsErrors.ts'

const errorOf = (code: string, message: string) => Object.assign(new Error(message), { code })

it.each([
  ['SELF_SIGNED_CERT_IN_CHAIN', 'self-signed certificate in certificate chain'],
  ['DEPTH_ZERO_SELF_SIGNED_CERT', 'self-signed certificate'],
  ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'unable to verify the first certificate'],
  ['CERT_HAS_EXPIRED', 'certificate has expired'],
  ['ERR_TLS_CERT_ALTNAME_INVALID', "Hostname/IP does not match certificate's altnames"],
])('%s of Redis is a permanent refusal, and the text says what to set', (code, message) => {
  expect(explainTls(errorOf(code, message))).toContain(`(${message}): give the certificate`)
})

it.each([
  ['ECONNREFUSED', 'connect ECONNREFUSED 127.0.0.1:6379'],
  ['ECONNRESET', 'read ECONNRESET'],
])('%s is not: the next attempt may succeed', (code, message) => {
  expect(explainTls(errorOf(code, message))).toBeNull()
})
