import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { access, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import net from 'node:net'
import { homedir, tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { promisify } from 'node:util'
import { publishedProgram, startFlags } from '../harness/published.ts'
import { plainRequest } from './plan.ts'

export type SubjectName = 'ours' | 'apache' | 'bare'

export const subjectNames: readonly SubjectName[] = ['ours', 'apache', 'bare']

/** How reports name the servers. */
export const subjectTitles: Readonly<Record<SubjectName, string>> = {
  ours: 'Gantry',
  apache: 'Apache 5.5.0',
  bare: 'bare Node',
}

/** A server under test, in a process of its own. */
export interface RunningSubject {
  readonly name: SubjectName
  readonly pid: number
  readonly port: number
  /** From spawning the process to the first answer, in milliseconds. */
  readonly startMs: number
  /** Whether the process runs. */
  alive(): boolean
  close(): Promise<void>
}

/** A server that can be measured. */
export interface Subject {
  readonly name: SubjectName
  start(options?: SubjectOptions): Promise<RunningSubject>
}

export interface SubjectOptions {
  /** Folder for a .cpuprofile, which Node writes when the server ends. Ignored for Apache. */
  readonly profileTo?: string
  /** Apache's largest heap, MB. Default 1024. Ignored for the others. */
  readonly heapMb?: number
}

/** Thrown if this machine lacks something that a subject needs. */
class Missing extends Error {
  override name = 'Missing'
}

const run = promisify(execFile)
const START_TIMEOUT_MS = 60_000
const POLL_MS = 2
const STOP_TIMEOUT_MS = 5_000

interface Launch {
  readonly name: SubjectName
  readonly command: string
  readonly args: readonly string[]
  readonly home: string
  readonly port: number
}

async function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  )
}

async function freePort(): Promise<number> {
  const server = net.createServer()
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as net.AddressInfo
  await new Promise(resolve => server.close(resolve))
  return port
}

/** Asks for the route of a topic. True if any answer comes. */
function answers(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = net.connect({ port, host: '127.0.0.1', noDelay: true })
    const done = (answered: boolean) => {
      socket.destroy()
      resolve(answered)
    }
    socket.on('connect', () => socket.write(plainRequest(105, { topic: 'anything' }, 1)))
    socket.on('data', () => done(true))
    socket.on('error', () => done(false))
    socket.on('close', () => resolve(false))
  })
}

async function firstAnswer(child: ChildProcess, port: number, errors: () => string): Promise<void> {
  const deadline = performance.now() + START_TIMEOUT_MS
  while (!(await answers(port))) {
    if (child.exitCode !== null || performance.now() > deadline) {
      throw new Error(`no server on port ${port}: ${errors().trim() || 'no answer'}`)
    }
    await sleep(POLL_MS)
  }
}

async function launch({ name, command, args, home, port }: Launch): Promise<RunningSubject> {
  const begin = performance.now()
  const child = spawn(command, args, {
    cwd: home,
    // The KV configuration is read from the home folder: what other programs left there must not count.
    env: { ...process.env, HOME: home, ROCKETMQ_HOME: home },
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  const ended = new Promise<void>(resolve => void child.on('close', () => resolve()))
  let errors = ''
  child.stderr.on('data', text => (errors = (errors + String(text)).slice(-2000)))
  child.on('error', error => (errors += error.message))
  const close = async () => {
    child.kill('SIGTERM')
    await Promise.race([ended, sleep(STOP_TIMEOUT_MS, undefined, { ref: false })])
    child.kill('SIGKILL')
    await rm(home, { recursive: true, force: true, maxRetries: 3 })
  }
  try {
    await firstAnswer(child, port, () => errors)
  } catch (error) {
    await close()
    throw error
  }
  const startMs = performance.now() - begin
  return { name, pid: child.pid as number, port, startMs, alive: () => child.exitCode === null, close }
}

async function launchNode(name: SubjectName, args: (port: number) => string[], options: SubjectOptions = {}) {
  const profile = options.profileTo === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${options.profileTo}`]
  const [home, port] = [await newHome(), await freePort()]
  return launch({ name, command: process.execPath, args: [...profile, ...args(port)], home, port })
}

function newHome(): Promise<string> {
  return mkdtemp(join(tmpdir(), 'gantry-bench-'))
}

const bareSubject: Subject = {
  name: 'bare',
  start: options => {
    const script = new URL('bare-server.ts', import.meta.url).pathname
    return launchNode('bare', port => [script, String(port)], options)
  },
}

/** Our name server, compiled as it is published, or the given program. @throws Missing if the program does not exist */
async function findOurs(program?: string): Promise<Subject> {
  const path = program ?? (await publishedProgram('mqnamesrv'))
  if (!(await exists(path))) throw new Missing(`${path} does not exist`)
  return {
    name: 'ours',
    start: options =>
      launchNode('ours', port => [...startFlags('mqnamesrv'), path, '--listen-port', String(port)], options),
  }
}

const APACHE_VERSION = '5.5.0'
// Apache's start script reserves 4 GB; this heap starts small and has room for 300 brokers that register in turn.
const APACHE_HEAP_MB = 1024
const apacheFlags = [
  ['-server', '-Xms256m', '-XX:+UseG1GC', '-XX:MaxDirectMemorySize=512m'],
  ['java.nio', 'sun.nio.ch', 'java.lang'].map(name => `--add-opens=java.base/${name}=ALL-UNNAMED`),
  ['jdk.internal.ref', 'sun.nio.ch'].map(name => `--add-exports=java.base/${name}=ALL-UNNAMED`),
].flat()

/** Apache's name server, from the jars that the interop suite downloads. @throws Missing without Java or the jars */
async function findApache(): Promise<Subject> {
  await run('java', ['-version']).catch(() => {
    throw new Missing('java is not on the PATH')
  })
  const cache = process.env['GANTRY_INTEROP_CACHE'] ?? join(homedir(), '.cache/gantry-interop')
  const lib = join(cache, APACHE_VERSION, 'lib')
  if (!(await exists(join(lib, `rocketmq-namesrv-${APACHE_VERSION}.jar`))))
    throw new Missing(`${lib} has no RocketMQ jars; npm run interop downloads them`)
  return { name: 'apache', start: options => launchApache(lib, options) }
}

async function launchApache(lib: string, { heapMb = APACHE_HEAP_MB }: SubjectOptions = {}): Promise<RunningSubject> {
  const [home, port] = [await newHome(), await freePort()]
  const conf = join(home, 'namesrv.conf')
  await mkdir(join(home, 'conf'))
  await writeFile(conf, `listenPort=${port}\nrocketmqHome=${home}\nkvConfigPath=${home}/kvConfig.json\n`)
  const folders = [`-Duser.home=${home}`, `-Drocketmq.home.dir=${home}`, '-cp', `${lib}/*`]
  const main = ['org.apache.rocketmq.namesrv.NamesrvStartup', '-c', conf]
  const args = [`-Xmx${heapMb}m`, ...apacheFlags, ...folders, ...main]
  return launch({ name: 'apache', command: 'java', args, home, port })
}

export interface FoundSubjects {
  readonly subjects: Subject[]
  /** Why the others cannot run. */
  readonly missing: string[]
}

/** Finds the named subjects that can run on this machine. */
export async function findSubjects(names: readonly SubjectName[], program?: string): Promise<FoundSubjects> {
  const finders = { ours: () => findOurs(program), apache: findApache, bare: async () => bareSubject }
  const found: FoundSubjects = { subjects: [], missing: [] }
  for (const name of names) {
    try {
      found.subjects.push(await finders[name]())
    } catch (error) {
      if (!(error instanceof Missing)) throw error
      found.missing.push(`${name}: ${error.message}`)
    }
  }
  return found
}
