import { generate } from 'selfsigned'

export type Certificate = { readonly cert: string; readonly key: string }

export type CertificateOptions = {
  /** The names for which it is valid. The default is the address of this machine. */
  readonly names?: readonly string[]
  readonly notAfter?: Date
}

const DAY_MS = 86_400_000

/** A certificate authority, as a company has one for its own servers. */
export class Authority {
  readonly #own: Certificate

  private constructor(own: Certificate) {
    this.#own = own
  }

  static async create(name = 'Authority of the tests'): Promise<Authority> {
    const isAuthority = [
      { name: 'basicConstraints', cA: true, critical: true } as const,
      { name: 'keyUsage', keyCertSign: true, cRLSign: true, critical: true } as const,
    ]
    const made = await generate([{ name: 'commonName', value: name }], {
      keyType: 'ec',
      algorithm: 'sha256',
      extensions: isAuthority,
    })
    return new Authority({ cert: made.cert, key: made.private })
  }

  get cert(): string {
    return this.#own.cert
  }

  /** A certificate that servers and clients can use. */
  async issue({ names, notAfter }: CertificateOptions = {}): Promise<Certificate> {
    const altNames = names?.map((value) => ({ type: 2, value }) as const) ?? [
      { type: 7, ip: '127.0.0.1' } as const,
    ]
    const notAfterDate = notAfter ?? new Date(Date.now() + DAY_MS)
    const made = await generate([{ name: 'commonName', value: 'redis' }], {
      keyType: 'ec',
      algorithm: 'sha256',
      notBeforeDate: new Date(notAfterDate.getTime() - 2 * DAY_MS),
      notAfterDate,
      ca: this.#own,
      extensions: [
        { name: 'subjectAltName', altNames },
        { name: 'extKeyUsage', serverAuth: true, clientAuth: true },
      ],
    })
    return { cert: made.cert, key: made.private }
  }
}
