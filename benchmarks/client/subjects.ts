import { execFile } from 'node:child_process'
import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { mkdir, readdir, readFile, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { classPath } from '../../interop/src/launch/apache.ts'
import { WorkerProcess } from './worker-process.ts'

/** `java` sends with one thread for each message in flight, `java-async` with one thread and callbacks. */
export type SubjectName = 'ours' | 'java' | 'java-async' | 'ali-ons'

export const subjectNames: readonly SubjectName[] = ['ours', 'java', 'java-async', 'ali-ons']

export const subjectTitles: Readonly<Record<SubjectName, string>> = {
  ours: 'Gantry',
  java: 'Apache 5.5.0 Java',
  'java-async': 'Apache 5.5.0 Java, async',
  'ali-ons': 'ali-ons 3.12.0',
}

const run = promisify(execFile)
const folder = import.meta.dirname
const sources = join(folder, 'java')

export interface LaunchOptions {
  readonly nameServers: string
  /** The folder for the log of Java's client. */
  readonly logs: string
  /** Folder for a .cpuprofile, which Node writes when the worker ends. Ignored for Java. */
  readonly profileTo?: string | undefined
}

/** Starts a subject in a process of its own, which ends with this process. */
export async function launch(subject: SubjectName, options: LaunchOptions): Promise<WorkerProcess> {
  return isJava(subject) ? launchJava(options) : launchNode(join(folder, `${subject}.ts`), options)
}

export function isJava(subject: SubjectName): boolean {
  return subject.startsWith('java')
}

function launchNode(script: string, { nameServers, profileTo }: LaunchOptions): WorkerProcess {
  const profile = profileTo === undefined ? [] : ['--cpu-prof', `--cpu-prof-dir=${profileTo}`]
  return new WorkerProcess(process.execPath, [...profile, script, nameServers])
}

// The flags of Apache's benchmark/runclass.sh that current JVMs know.
const JVM_FLAGS = ['-server', '-Xms1g', '-Xmx1g', '-Xmn256m', '-XX:-OmitStackTraceInFastThrow', '-XX:-UseLargePages']

/** Starts Java's worker. It is a subject, and also fills topics. */
export async function launchJava({ nameServers, logs }: LaunchOptions): Promise<WorkerProcess> {
  const jars = await classPath('5.5.0')
  const classes = await compiled(jars)
  const system = [`-Duser.home=${logs}`, `-Drocketmq.client.logRoot=${logs}`]
  return new WorkerProcess('java', [...JVM_FLAGS, ...system, '-cp', `${classes}:${jars}`, 'Worker', nameServers])
}

/** Compiles Java's worker unless that was done already. Returns the folder of its classes. */
async function compiled(jars: string): Promise<string> {
  const names = (await readdir(sources)).filter(name => name.endsWith('.java')).toSorted()
  const files = names.map(name => join(sources, name))
  const hash = createHash('sha256').update(jars)
  for (const file of files) hash.update(await readFile(file))
  const classes = join(folder, '..', '.cache', 'client', hash.digest('hex').slice(0, 12))
  if (existsSync(classes)) return classes
  const part = `${classes}-${process.pid}`
  await mkdir(part, { recursive: true })
  await run('javac', ['-nowarn', '-d', part, '-cp', jars, ...files])
  await rename(part, classes).catch(() => rm(part, { recursive: true, force: true }))
  return classes
}
