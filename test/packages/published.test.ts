import { checkPackage, createPackageFromTarballData } from '@arethetypeswrong/core'
import { readFile } from 'node:fs/promises'
import { publint } from 'publint'
import { formatMessage } from 'publint/utils'
import { describe, expect, it } from 'vitest'
import { tarballsIn } from '../support/pack.ts'
import { tarballs } from './packed.ts'

describe.each(Object.entries(await tarballsIn(tarballs)))('the tarball of %s', (_, path) => {
  it('has no error or warning of publint', async () => {
    const { buffer } = new Uint8Array(await readFile(path))
    const { messages, pkg } = await publint({ pack: { tarball: buffer }, strict: true })
    const errors = messages.filter(({ type }) => type === 'error')
    expect(errors.map((message) => formatMessage(message, pkg))).toEqual([])
  })

  it('has the right types for every way to resolve them, as attw sees it', async () => {
    const analysis = await checkPackage(createPackageFromTarballData(await readFile(path)))
    expect(analysis).toMatchObject({ types: { kind: 'included' }, problems: [] })
  })
})
