import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rename, rm, writeFile } from 'node:fs/promises'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

/** The Apache releases that the suites run against, one for each release line. */
export type Release = '4.9.7' | '5.5.0'
export const RELEASES: readonly Release[] = ['4.9.7', '5.5.0']

const run = promisify(execFile)
const javaSources = join(import.meta.dirname, '..', '..', 'java')
const INSTALL_DEADLINE_MS = 10 * 60_000

function cacheFolder(release: Release): string {
  const root = process.env['GANTRY_INTEROP_CACHE'] ?? join(homedir(), '.cache', 'gantry-interop')
  return join(root, release)
}

async function runs(command: string, args: readonly string[]): Promise<boolean> {
  return run(command, args).then(
    () => true,
    () => false,
  )
}

/** The reason why Apache's servers cannot run on this machine; undefined if they can. */
async function whatIsMissing(): Promise<string | undefined> {
  if (!(await runs('java', ['-version'])) || !(await runs('javac', ['-version'])))
    return 'java and javac are not on the PATH; install a JDK'
  const fetched = RELEASES.every(isFetched)
  if (!fetched && !(await runs('mvn', ['-v'])))
    return 'mvn is not on the PATH; install Maven, which downloads Apache RocketMQ'
  return undefined
}

/** Whether the jars of a release are on this machine. */
function isFetched(release: Release): boolean {
  return existsSync(join(cacheFolder(release), 'lib'))
}

let missing: Promise<string | undefined> | undefined

/** The reason to skip everything that needs Apache's programs; false if they can run. */
export async function skipReason(): Promise<string | false> {
  return (await (missing ??= whatIsMissing())) ?? false
}

function artifacts(release: Release): readonly string[] {
  const common = ['namesrv', 'broker', 'client', 'tools']
  return release.startsWith('4.') ? common : [...common, 'container', 'controller']
}

function projectFile(release: Release): string {
  const dependencies = artifacts(release).map(
    name =>
      `<dependency><groupId>org.apache.rocketmq</groupId><artifactId>rocketmq-${name}</artifactId><version>${release}</version></dependency>`,
  )
  return `<project xmlns="http://maven.apache.org/POM/4.0.0"><modelVersion>4.0.0</modelVersion>
<groupId>gantry.interop</groupId><artifactId>apache</artifactId><version>1</version>
<dependencies>${dependencies.join('\n')}</dependencies></project>
`
}

async function fetchJars(release: Release): Promise<string> {
  const folder = cacheFolder(release)
  const lib = join(folder, 'lib')
  if (existsSync(lib)) return lib
  // Downloaded into another folder and renamed at the end, so that a broken download is never mistaken for a release.
  const part = join(folder, `fetching-${process.pid}`)
  await mkdir(part, { recursive: true })
  await writeFile(join(part, 'pom.xml'), projectFile(release))
  await run('mvn', ['-q', '-B', 'dependency:copy-dependencies', '-DoutputDirectory=lib'], {
    cwd: part,
    timeout: INSTALL_DEADLINE_MS,
  })
  await moveUnlessThere(join(part, 'lib'), lib)
  await rm(part, { recursive: true, force: true })
  return lib
}

async function moveUnlessThere(from: string, to: string): Promise<void> {
  await rename(from, to).catch((error: unknown) => {
    // Another process has finished first.
    if (!existsSync(to)) throw error
  })
}

async function compilePrograms(release: Release, lib: string): Promise<string> {
  const names = (await readdir(javaSources)).filter(name => name.endsWith('.java')).toSorted()
  const files = names.map(name => join(javaSources, name))
  const hash = createHash('sha256')
  for (const file of files) hash.update(await readFile(file))
  const classes = join(cacheFolder(release), `classes-${hash.digest('hex').slice(0, 12)}`)
  if (existsSync(classes)) return classes
  const part = `${classes}-${process.pid}`
  await run('javac', ['-nowarn', '-d', part, '-cp', `${lib}/*`, ...files])
  await moveUnlessThere(part, classes)
  await rm(part, { recursive: true, force: true })
  return classes
}

async function install(release: Release): Promise<string> {
  const lib = await fetchJars(release)
  return `${lib}/*:${await compilePrograms(release, lib)}`
}

const installed = new Map<Release, Promise<string>>()

/** The Java class path of a release and of the programs in `interop/java`. The first call downloads and compiles. */
export function classPath(release: Release): Promise<string> {
  let path = installed.get(release)
  if (!path) installed.set(release, (path = install(release)))
  return path
}
