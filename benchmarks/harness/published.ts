import { execFile } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { access, readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { bundle } from '../../scripts/bundle.ts'

const run = promisify(execFile)
const repository = new URL('../../', import.meta.url).pathname
const folder = new URL('../.cache/published/', import.meta.url).pathname
const packages = ['remoting', 'protocol', 'daemon', 'namesrv', 'client', 'store', 'broker', 'testing', 'gantrymq']

interface Manifest {
  readonly name: string
  readonly exports: Readonly<Record<string, string>>
}

type ProgramName = 'mqnamesrv' | 'mqbroker' | 'gantry'

/**
 * Compiles our programs as `npm run build` does and returns the path of one, because users run JavaScript. From its sources a
 * program starts more slowly and uses 20 MB more: Node loads a compiler to strip the types.
 * @throws Error if tsc writes no program; type errors alone are ignored
 */
export async function publishedProgram(name: ProgramName): Promise<string> {
  const complaint = await (compiling ??= compilePrograms())
  const program = join(folder, 'node_modules/gantrymq/bin', `${name}.js`)
  await access(program).catch(() => {
    throw new Error(`${name} does not compile:\n${complaint}`)
  })
  return program
}

let compiling: Promise<string> | undefined

/** Returns the errors of tsc. */
async function compilePrograms(): Promise<string> {
  await rm(folder, { recursive: true, force: true })
  const compiled = join(folder, 'compiled')
  const complaint = await compile(compiled)
  for (const name of packages) await install(name, compiled)
  return complaint
}

/** Compiles all packages. Returns the errors of tsc. */
async function compile(out: string): Promise<string> {
  const tsc = join(repository, 'node_modules/typescript/bin/tsc')
  const args = [tsc, '-p', join(repository, 'tsconfig.build.json'), '--outDir', out]
  return run(process.execPath, args).then(
    () => '',
    (error: Error & { readonly stdout?: string }) => error.stdout ?? error.message,
  )
}

/** Copies a compiled package to where the others find it by its name. */
async function install(name: string, compiled: string): Promise<void> {
  const manifest = JSON.parse(await readFile(join(repository, 'packages', name, 'package.json'), 'utf8')) as Manifest
  const target = join(folder, 'node_modules', manifest.name)
  await bundle({ compiled: join(compiled, name, 'src'), exports: manifest.exports, out: target })
  const exports = Object.entries(manifest.exports).map(([path, file]) => {
    return [path, file.replace('./src/', './').replace(/\.ts$/, '.js')]
  })
  const published = { ...manifest, type: 'module', exports: Object.fromEntries(exports) as unknown }
  await writeFile(join(target, 'package.json'), JSON.stringify(published))
}

type ScriptName = 'mqnamesrv' | 'mqbroker' | 'start'

/** The Node flags of an npm script that starts a server; the measured server runs with them. */
export function startFlags(script: ScriptName): string[] {
  return commandOf(script).match(/(?<=node .*)--\S+/g) ?? []
}

/** The environment variables that an npm script sets for a server. */
export function startEnvironment(script: ScriptName): Record<string, string> {
  const settings = commandOf(script).match(/(?<=^env .*)\w+=\S+(?=.* node )/g) ?? []
  return Object.fromEntries(settings.map(setting => setting.split('=', 2) as [string, string]))
}

/** How an npm script starts a server, once it is compiled. */
function commandOf(script: ScriptName): string {
  const manifest = JSON.parse(readFileSync(join(repository, 'package.json'), 'utf8')) as RootManifest
  return manifest.scripts[script].replace(/^.*&& exec /, '')
}

interface RootManifest {
  readonly scripts: Readonly<Record<ScriptName, string>>
}
