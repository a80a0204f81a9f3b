// Builds what is published: packages/*/dist with ES modules, types and a package.json. Then checks it with npm, TypeScript and
// programs that use it, unless `--packages` is given.
import { execFile } from 'node:child_process'
import {
  chmodSync,
  cpSync,
  globSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join } from 'node:path'
import { promisify } from 'node:util'
import { bundle } from './bundle.ts'
import { run } from './command.ts'
import { installTools, project, tryEnvironments, tryNodes } from './environments.ts'
import { tryInstalled } from './installed-packages.ts'
import { addressFields, PROJECT_ADDRESS, shippedReadme } from './shipped-readme.ts'
import { tryTestRunners } from './test-runners.ts'

const published = [
  'remoting',
  'protocol',
  'daemon',
  'store',
  'namesrv',
  'broker',
  'testing',
  'client',
  'opentelemetry',
  'gantrymq',
]

interface Manifest {
  readonly name: string
  readonly version: string
  readonly description: string
  readonly license: string
  readonly exports: Readonly<Record<string, string>>
  readonly dependencies?: Readonly<Record<string, string>>
  readonly peerDependencies?: Readonly<Record<string, string>>
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional: boolean }>>
}

/** The maximum size of the unpacked client package, bytes. */
const MAX_CLIENT_BYTES = 1_000_000

/** As `run` for many, two at a time: most of them start slowly. */
async function runAll(commands: readonly (readonly [program: string, ...args: string[]])[]): Promise<void> {
  const rest = [...commands]
  const worker = async () => {
    for (let next = rest.shift(); next !== undefined; next = rest.shift()) {
      const [program, ...args] = next
      await promisify(execFile)(program, args).catch(
        (error: { readonly stdout?: string; readonly stderr?: string }) => {
          throw new Error(`${program} ${args.join(' ')}\n${error.stdout ?? ''}${error.stderr ?? ''}`, { cause: error })
        },
      )
    }
  }
  await Promise.all([worker(), worker()])
}

async function step(name: string, work: () => void | Promise<void>): Promise<void> {
  const started = performance.now()
  await work()
  console.log(`ok  ${name.padEnd(34)} ${((performance.now() - started) / 1000).toFixed(1)} s`)
}

/** Rewrites `.ts` to `.js` in the imports of types, which older compilers need. tsc rewrites only those of code. */
function rewriteTypes(dist: string): void {
  for (const file of globSync(join(dist, '**/*.d.ts'))) {
    const text = readFileSync(file, 'utf8')
    writeFileSync(file, text.replaceAll(/((?:from |import\()['"]\.{1,2}\/[^'"]+)\.ts(?=['"])/g, '$1.js'))
  }
}

function programsOf(dist: string): Record<string, string> {
  const programs = globSync(join(dist, 'bin/*.js')).sort()
  return Object.fromEntries(programs.map(file => [basename(file, '.js'), `bin/${basename(file)}`]))
}

function publishedManifest(folder: string, source: Manifest, dist: string): object {
  const { name, version, description, license, dependencies, peerDependencies, peerDependenciesMeta } = source
  const exports = Object.entries(source.exports).map(([path, file]) => {
    const built = file.replace('./src/', './').replace(/\.ts$/, '')
    return [path, { types: `${built}.d.ts`, default: `${built}.js` }]
  })
  const bin = programsOf(dist)
  return {
    name,
    version,
    description,
    license,
    ...addressFields(folder, PROJECT_ADDRESS),
    keywords: ['rocketmq', 'apache-rocketmq', 'messaging', 'name-server'],
    type: 'module',
    sideEffects: false,
    engines: { node: '>=22.18' },
    exports: { ...Object.fromEntries(exports), './package.json': './package.json' },
    ...(Object.keys(bin).length > 0 && { bin }),
    files: ['**/*.js', '**/*.d.ts', 'NOTICE'],
    ...(dependencies && { dependencies }),
    ...(peerDependencies && { peerDependencies }),
    ...(peerDependenciesMeta && { peerDependenciesMeta }),
  }
}

async function assemble(folder: string, compiled: string): Promise<void> {
  const root = join('packages', folder)
  const dist = join(root, 'dist')
  const source = join(compiled, folder, 'src')
  const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest
  cpSync(source, dist, { recursive: true, filter: path => !path.endsWith('.js') })
  rewriteTypes(dist)
  await bundle({ compiled: source, exports: manifest.exports, out: dist })
  for (const program of Object.values(programsOf(dist))) chmodSync(join(dist, program), 0o755)
  for (const file of ['LICENSE', 'NOTICE']) cpSync(file, join(dist, file))
  const readme = readFileSync(join(root, 'README.md'), 'utf8')
  writeFileSync(join(dist, 'README.md'), shippedReadme(readme, folder, PROJECT_ADDRESS))
  writeFileSync(join(dist, 'package.json'), `${JSON.stringify(publishedManifest(folder, manifest, dist), null, 2)}\n`)
}

function bytesOf(folder: string): number {
  const files = globSync(join(folder, '**/*'), { withFileTypes: true }).filter(entry => entry.isFile())
  return files.reduce((sum, { parentPath, name }) => sum + statSync(join(parentPath, name)).size, 0)
}

function checkClientSize(): void {
  const bytes = bytesOf(join('packages', 'client', 'dist'))
  if (bytes > MAX_CLIENT_BYTES) throw new Error(`the client is ${bytes} bytes unpacked, over ${MAX_CLIENT_BYTES}`)
}

const dists = published.map(folder => join('packages', folder, 'dist'))

/** Packs the packages, and uses them as users do. */
async function tryPackages(tarballs: string): Promise<void> {
  mkdirSync(tarballs)
  await step(
    'npm pack',
    () => void run('npm', ['pack', '--pack-destination', tarballs, ...dists.map(dist => `./${dist}`)]),
  )
  const packed = globSync(join(tarballs, '*.tgz')).sort()
  await step('types by attw', () => runAll(packed.map(file => ['attw', '--profile', 'esm-only', file])))
  const names = dists.map(dist => (JSON.parse(readFileSync(join(dist, 'package.json'), 'utf8')) as Manifest).name)
  await step('install the tools of recipes', installTools)
  rmSync(project, { recursive: true, force: true })
  await step('install, import, require, run', () => tryInstalled(project, packed, names))
  let skipped: string[] = []
  await step('recipes of docs/environments.md', async () => void (skipped = await tryEnvironments(names)))
  await step('oldest Node, and an older one', async () => void skipped.push(...(await tryNodes())))
  await step('tests with Vitest and Jest', () => tryTestRunners(join(tarballs, 'runners'), packed))
  for (const line of skipped) console.log(`--  skipped: ${line}`)
}

const work = mkdtempSync(join(tmpdir(), 'gantry-build-'))
try {
  await step('compile', () => void run('tsc', ['-p', 'tsconfig.build.json', '--outDir', join(work, 'compiled')]))
  await step('assemble packages/*/dist', async () => {
    for (const dist of dists) rmSync(dist, { recursive: true, force: true })
    await Promise.all(published.map(folder => assemble(folder, join(work, 'compiled'))))
  })
  await step('size of the client', checkClientSize)
  await step('publint', () => runAll(dists.map(dist => ['publint', 'run', '--strict', dist])))
  if (!process.argv.includes('--packages')) await tryPackages(join(work, 'tarballs'))
} catch (error) {
  console.error(`FAILED  ${error instanceof Error ? error.message : String(error)}`)
  process.exitCode = 1
} finally {
  rmSync(work, { recursive: true, force: true })
}
