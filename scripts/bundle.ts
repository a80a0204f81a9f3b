import { globSync } from 'node:fs'
import { join } from 'node:path'
import { build } from 'esbuild'

/** Compiled modules of one package, and where its bundle goes. */
export interface BundleInput {
  /** Folder of the compiled modules. */
  readonly compiled: string
  /** `exports` of the package's manifest, with the paths of its sources. */
  readonly exports: Readonly<Record<string, string>>
  readonly out: string
}

/**
 * Bundles a package into one file for each of its exports and programs, and one for each part that they share or load later. A
 * program that imports the client reads six files then, not 250, which is most of the time of that import. Other packages stay
 * imports.
 */
export async function bundle({ compiled, exports, out }: BundleInput): Promise<void> {
  const exported = Object.values(exports).map(file =>
    join(compiled, file.replace('./src/', './').replace(/\.ts$/, '.js')),
  )
  await build({
    entryPoints: [...exported, ...globSync(join(compiled, 'bin/*.js')).sort()],
    outdir: out,
    outbase: compiled,
    chunkNames: 'shared/[name]-[hash]',
    bundle: true,
    splitting: true,
    format: 'esm',
    platform: 'node',
    target: 'node22',
    packages: 'external',
    logLevel: 'silent',
  })
}
