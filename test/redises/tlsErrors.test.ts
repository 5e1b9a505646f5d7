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

// The names of the same alerts in OpenSSL 3.0 and 3.5, which Node 20 and Node 24 have.
it.each([
  'ERR_SSL_SSLV3_ALERT_HANDSHAKE_FAILURE',
  'ERR_SSL_SSL/TLS_ALERT_HANDSHAKE_FAILURE',
  'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED',
  'ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE',
  'ERR_SSL_TLSV1_ALERT_UNKNOWN_CA',
  'ERR_SSL_TLSV1_ALERT_DECRYPT_ERROR',
])('%s is a permanent refusal of our certificate, and the text says what to set', (code) => {
  expect(explainTls(errorOf(code, 'an alert'))).toContain('(an alert): give a certificate')
})

it.each([
  ['ERR_SSL_WRONG_VERSION_NUMBER', 'wrong version number'],
  ['ECONNREFUSED', 'connect ECONNREFUSED 127.0.0.1:6379'],
  ['ECONNRESET', 'read ECONNRESET'],
])('%s is not: the next attempt may succeed', (code, message) => {
  expect(explainTls(errorOf(code, message))).toBeNull()
})
