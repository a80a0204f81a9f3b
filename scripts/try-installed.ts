// Uses the packed packages as a stranger does: in a folder of its own, from ESM and from CommonJS.
import { spawnSync } from 'node:child_process'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'

interface Manifest {
  readonly name: string
  readonly bin?: Readonly<Record<string, string>>
}

const viaImport = `
  for (const name of process.argv.slice(2)) console.log(name, Object.keys(await import(name)).sort().join(' '))
`
const viaRequire = `
  for (const name of process.argv.slice(2)) console.log(name, Object.keys(require(name)).sort().join(' '))
`

function run(folder: string, program: string, args: readonly string[]): string {
  const { status, stdout, stderr, error } = spawnSync(program, args, { cwd: folder, encoding: 'utf8' })
  if (status === 0) return stdout
  throw new Error(`${program} ${args.join(' ')}\n${error?.message ?? ''}${stdout ?? ''}${stderr ?? ''}`)
}

/** @throws Error with the output if a package does not install, load both ways or start. */
export function tryInstalled(folder: string, tarballs: readonly string[], dists: readonly string[]): void {
  const manifests = dists.map(dist => JSON.parse(readFileSync(resolve(dist, 'package.json'), 'utf8')) as Manifest)
  const names = manifests.map(({ name }) => name)
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n')
  writeFileSync(join(folder, 'import.mjs'), viaImport)
  writeFileSync(join(folder, 'require.cjs'), viaRequire)
  run(folder, 'npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', ...tarballs])
  const imported = run(folder, process.execPath, ['import.mjs', ...names])
  const required = run(folder, process.execPath, ['require.cjs', ...names])
  if (imported !== required) throw new Error(`import and require differ:\n${imported}\n${required}`)
  for (const program of manifests.flatMap(({ bin }) => Object.keys(bin ?? {}))) {
    run(folder, process.execPath, [join('node_modules', '.bin', program), '-h'])
  }
}
