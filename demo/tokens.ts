import { jwtVerify, SignJWT } from 'jose'

export const roles = ['visitor', 'trader'] as const
export type Role = (typeof roles)[number]
export type User = { readonly name: string; readonly role: Role }

export type Tokens = {
  /** A token for this user, which ends soon. A duration, because the clock of the page may be wrong. */
  sign(user: User): Promise<{ token: string; expiresInMs: number }>
  /** Rejects if the token is not ours, or has ended. */
  verify(token: string): Promise<{ user: User; expiresAt: number }>
}

/** All nodes have the same secret, so each accepts the tokens of the others. */
export function tokensOf(secret: string, lifeMs: number): Tokens {
  const key = new TextEncoder().encode(secret)
  return {
    async sign({ name, role }) {
      const token = await new SignJWT({ role })
        .setProtectedHeader({ alg: 'HS256' })
        .setSubject(name)
        .setExpirationTime((Date.now() + lifeMs) / 1000)
        .sign(key)
      return { token, expiresInMs: lifeMs }
    },
    async verify(token) {
      const { payload } = await jwtVerify<{ role: Role }>(token, key, {
        algorithms: ['HS256'],
        requiredClaims: ['sub', 'exp'],
      })
      return { user: { name: payload.sub!, role: payload.role }, expiresAt: payload.exp! * 1000 }
    },
  }
}
