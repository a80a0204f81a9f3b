// Checks the rules of ARCHITECTURE.md: which package may import which, and which files may not wait, send or read the clock.
import { existsSync, globSync, readFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { isTest, readSource, type Source, sourceFiles } from './sources.ts'

/** Each package with the packages that it may import. */
const arrows: Readonly<Record<string, readonly string[]>> = {
  remoting: [],
  protocol: ['remoting'],
  daemon: ['protocol', 'remoting'],
  store: ['protocol', 'remoting'],
  namesrv: ['daemon', 'protocol', 'remoting'],
  broker: ['daemon', 'protocol', 'remoting', 'store'],
  testing: ['broker', 'namesrv', 'protocol', 'remoting', 'store'],
  client: ['protocol', 'remoting'],
  opentelemetry: ['client'],
  gantrymq: ['broker', 'client', 'daemon', 'namesrv', 'protocol', 'remoting', 'testing'],
  testkit: ['broker', 'namesrv', 'protocol', 'remoting', 'store', 'testing'],
}

/** Packages with programs. Only these may have third-party dependencies. */
const programs = ['gantrymq']

/** State and codecs: synchronous, with the time as a parameter. They import only each other. */
const stateFiles = [
  'packages/protocol/src/{assignment-strategies,broker-id,data-version,java-hash,permission,pull-flags,subscription,topic-name}.ts',
  'packages/protocol/src/bodies/!(register-broker).ts',
  'packages/remoting/src/{buffer-pool,slices,fastjson/*,command,errors,fields,frame,*-header,header-view,language,number-bytes,outbox,printable,request,close-reason,fast-path,held,spelling}.ts',
  'packages/daemon/src/slices.ts',
  'packages/daemon/src/http/{page,health}.ts',
  'packages/daemon/src/options/properties-edit.ts',
  'packages/daemon/src/metrics/{family,counters,rpc-latency}.ts',
  'packages/store/src/{append-status,errors,position-waits,read-limits,writability}.ts',
  'packages/store/src/log/{body-crc,record-check,record-layout,record-properties}.ts',
  'packages/store/src/queues/queue-unit.ts',
  'packages/namesrv/src/registry/{route-table,route-queries,topic,topic-*,broker-*,registration,queue-settings,departures,zone-filter}.ts',
  'packages/namesrv/src/registration/{body-difference,scan,last-bodies}.ts',
  'packages/namesrv/src/answers/*.ts',
  'packages/namesrv/src/kv/kv-config.ts',
  'packages/broker/src/fast/{header-fields,known-names,name-table,plain-properties}.ts',
  'packages/broker/src/{topics/topic-table,groups/group-table,offsets/offset-table,clients/{client-registry,queue-locks}}.ts',
  'packages/broker/src/{due-sets,popping/{pop-ledger,ordered-pops,assignments,request-modes},timers/timer-table}.ts',
  'packages/client/src/{errors,message/message,message/shown-queue}.ts',
  'packages/client/src/consumer/offsets/start-offset.ts',
  'packages/client/src/consumer/pop/retry-delay.ts',
  'packages/client/src/consumer/queue/{consumption-stats,flow-control,held-queue,held-queues,offset-ring,process-queue}.ts',
  'packages/client/src/consumer/rebalance/{plan,strategies}.ts',
  'packages/client/src/producer/{fault-latency,queue-picker}.ts',
  'packages/client/src/routes/{broker-table,routes}.ts',
]

/**
 * The folders of a package's sources from top to bottom: a file imports only from its own folder and from lower ones. Folders in
 * one line stand side by side and do not import each other. Files at the top of `src` belong to the lowest folder, except for
 * the index.
 */
const foldersDown: Readonly<Record<string, readonly (readonly string[])[]>> = {
  client: [
    ['admin', 'consumer'],
    ['consumer/lite-pull', 'consumer/pop'],
    ['consumer/push'],
    ['consumer/group'],
    ['consumer/rebalance'],
    ['consumer/queue'],
    ['consumer/offsets'],
    ['producer'],
    ['trace'],
    ['instance'],
    ['routes'],
    ['message'],
  ],
}

const waiting = /^node:(net|tls|fs|http|http2|https|dgram|dns|timers|child_process|worker_threads|stream|events)\b/
const timeOrLog = /^(Clock|systemClock|Logger|silent)$/

/** What remoting and store publish for tests. Only tests and testkit may import it. */
const testing = /^packages\/(testkit\/|(remoting|store)\/src\/testing\/)/

interface Manifest {
  readonly name: string
  readonly exports: Readonly<Record<string, string>>
  readonly dependencies?: Readonly<Record<string, string>>
  readonly devDependencies?: Readonly<Record<string, string>>
  /** Packages that the user installs, such as OpenTelemetry's API. */
  readonly peerDependencies?: Readonly<Record<string, string>>
}

const complaints: string[] = []

function manifestOf(folder: string): Manifest {
  return JSON.parse(readFileSync(join('packages', folder, 'package.json'), 'utf8')) as Manifest
}

function checkManifest(folder: string, manifest: Manifest): void {
  const allowed = (arrows[folder] ?? []).map(name => `@gantrymq/${name}`)
  for (const [name, range] of Object.entries(manifest.dependencies ?? {})) {
    const ours = name.startsWith('@gantrymq/')
    if (ours ? !allowed.includes(name) : !programs.includes(folder)) {
      complaints.push(`packages/${folder}/package.json: ${folder} may not depend on ${name}`)
    }
    if (!/^\d+\.\d+\.\d+$/.test(range)) {
      complaints.push(`packages/${folder}/package.json: ${name} needs an exact version, not ${range}`)
    }
  }
}

function importsOf({ syntax }: Source): string[] {
  const { staticImports, staticExports } = syntax.module
  const exported = staticExports.flatMap(({ entries }) => entries.map(entry => entry.moduleRequest?.value))
  return [...staticImports.map(each => each.moduleRequest.value), ...exported].filter(each => each !== undefined)
}

function checkImport(folder: string, manifest: Manifest, path: string, specifier: string): string | undefined {
  const root = join('packages', folder)
  if (specifier.startsWith('.')) {
    const target = join(dirname(path), specifier)
    if (!target.startsWith(`${root}/`)) return 'reaches into another package; import it by name'
    if (target.startsWith(`${root}/test/`) && !isTest(path)) return 'is for tests'
    if (target === `${root}/src/index.ts` && !isTest(path)) return "imports the package's own index; import the file"
    if (testing.test(target) && !testing.test(path) && !isTest(path)) return 'is for tests only'
    return existsSync(target) ? undefined : 'does not exist'
  }
  if (specifier.startsWith('node:')) return undefined
  const [scope = '', rest = '', ...deep] = specifier.split('/')
  const name = scope.startsWith('@') ? `${scope}/${rest}` : scope
  // Tests in test/ import their package by name, as its users do.
  if (name === manifest.name)
    return path.startsWith(`${root}/test/`) ? undefined : 'imports its own package; import the file'
  const dev = isTest(path) ? { 'fast-check': '', ...manifest.devDependencies } : {}
  if (!(name in { ...manifest.dependencies, ...manifest.peerDependencies, ...dev }))
    return 'is not among the dependencies of the package'
  if (/^@gantrymq\/(remoting|store)\/testing$/.test(specifier) && !testing.test(path) && !isTest(path))
    return 'is for tests only'
  const isOpen = deep.length === 0 || `./${deep.join('/')}` in manifestOf(rest).exports
  return !name.startsWith('@gantrymq/') || isOpen ? undefined : 'is a deep import'
}

/** The line of a file's folder in `foldersDown`; -1 if it is not there. */
function lineOf(lines: readonly (readonly string[])[], src: string, path: string): number {
  const folder = relative(src, dirname(path))
  return folder === '' ? lines.length - 1 : lines.findIndex(line => line.includes(folder))
}

/** What is wrong with an import from one folder of a package's sources to another. */
function checkFolders(folder: string, path: string, specifier: string): string | undefined {
  const lines = foldersDown[folder]
  const src = join('packages', folder, 'src')
  if (lines === undefined || !path.startsWith(`${src}/`) || path === `${src}/index.ts` || isTest(path)) return undefined
  const from = lineOf(lines, src, path)
  if (from < 0) return 'is imported by a file of a folder that foldersDown in scripts/layers.ts does not have'
  if (!specifier.startsWith('.')) return undefined
  const target = join(dirname(path), specifier)
  const to = lineOf(lines, src, target)
  if (to < from) return 'stands above the file that imports it'
  const isBeside = to === from && dirname(target) !== dirname(path) && to < lines.length - 1
  return isBeside ? 'stands beside the file that imports it' : undefined
}

function checkState(source: Source): void {
  const complain = (what: string) =>
    complaints.push(`${source.path}: state may not wait, log or read the clock: ${what}`)
  for (const { moduleRequest, entries } of source.syntax.module.staticImports) {
    const specifier = moduleRequest.value
    if (waiting.test(specifier)) complain(specifier)
    const near = specifier.startsWith('.') ? join(dirname(source.path), specifier) : undefined
    if (near !== undefined && !states.has(near)) complain(`${specifier} is not among the state files`)
    const named = entries.find(({ importName }) => timeOrLog.test(importName.name ?? ''))
    if (named) complain(`${named.importName.name} of ${specifier}`)
  }
  const asked = /\b(Date\.now|performance\.now|setTimeout|setInterval|setImmediate|queueMicrotask|await)\b/
  const found = asked.exec(source.text)
  if (found) complain(found[0])
}

const states = new Set(globSync(stateFiles, { exclude: ['**/*.test.ts'] }))
for (const folder of Object.keys(arrows)) {
  const manifest = manifestOf(folder)
  checkManifest(folder, manifest)
  for (const path of sourceFiles(join('packages', folder))) {
    const source = readSource(path)
    if (states.has(path)) checkState(source)
    for (const specifier of new Set(importsOf(source))) {
      const complaint = checkImport(folder, manifest, path, specifier) ?? checkFolders(folder, path, specifier)
      if (complaint) complaints.push(`${path}: ${specifier} ${complaint}`)
    }
  }
}
for (const complaint of complaints) console.error(complaint)
if (complaints.length > 0) process.exitCode = 1
