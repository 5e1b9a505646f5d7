/** The codes of Node for a certificate that it does not accept. */
const CERTIFICATE = /^(CERT_|UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_|HOSTNAME_MISMATCH|INVALID_CA|ERR_TLS_CERT_)/

/**
 * The codes of Node for the alerts of a server that does not accept the certificate of the client, or misses one (RFC 8446 6.2).
 * TLS 1.2 has no alert for a missing certificate: the handshake fails. OpenSSL 3.5 names it `SSL/TLS_ALERT_HANDSHAKE_FAILURE`.
 */
const OWN_CERTIFICATE = /^ERR_SSL_.*ALERT_(\w*CERTIFICATE\w*|UNKNOWN_CA|DECRYPT_ERROR|HANDSHAKE_FAILURE)$/

/** The text about a TLS handshake that will always fail with these options of Redis. `null` for any other error. */
export function explainTls(error: Error): string | null {
  const { code, message, reason = message } = error as NodeJS.ErrnoException & { reason?: string }
  if (code === undefined) return null
  if (CERTIFICATE.test(code))
    return `The certificate of Redis is not accepted (${reason}): give the certificate of its authority in tls: { ca }, see docs/redis.md`
  if (OWN_CERTIFICATE.test(code))
    return `Redis refuses the TLS handshake (${reason}): give a certificate that it accepts in tls: { cert, key }, see docs/redis.md`
  return null
}
