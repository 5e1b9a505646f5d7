import { gzipSync } from 'node:zlib'
import { build, type Metafile } from 'esbuild'

export interface BundleSize {
  /** Bytes of the minified bundle after `gzip -9`. */
  readonly gzip: number
  /** Which file has how many bytes of the bundle, before compression. */
  readonly metafile: Metafile
}

/** The size of a bundle for production that exports what `contents` exports. Imports are resolved from `directory`. React is left out. */
export async function bundleSize(contents: string, directory: string): Promise<BundleSize> {
  const { outputFiles, metafile } = await build({
    stdin: { contents, resolveDir: directory },
    bundle: true,
    minify: true,
    format: 'esm',
    conditions: ['module', 'production'],
    external: ['react', 'react/jsx-runtime'],
    metafile: true,
    write: false,
  })
  return { gzip: gzipSync(outputFiles[0]!.contents, { level: 9 }).length, metafile }
}
