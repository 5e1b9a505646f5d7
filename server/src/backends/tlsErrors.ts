/** The codes of Node for a certificate that it does not accept. */
const CERTIFICATE = /^(CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|HOSTNAME_MISMATCH|INVALID_CA|ERR_TLS_CERT_)/

/** The text about a TLS handshake that will always fail with these options of Redis. `null` for any other error. */
export function explainTls(error: Error): string | null {
  const { code, message } = error as NodeJS.ErrnoException
  if (code === undefined || !CERTIFICATE.test(code)) return null
  return `The certificate of Redis is not accepted (${message}): give the certificate of its authority in tls: { ca }, see docs/redis.md`
}
