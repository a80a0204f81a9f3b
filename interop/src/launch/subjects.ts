import { type Release, RELEASES, skipReason } from './apache.ts'
import type { Owner } from './launched.ts'
import { type Properties, startApacheNameServer } from './launcher.ts'
import { startOurProgram, startOurs } from './our-name-server.ts'

/** A name server that runs for a test. */
export interface RunningNameServer {
  readonly port: number
  /** Ends it without warning. */
  kill(): Promise<void>
  /** Starts it again on its port, with its settings and files. */
  restart(): Promise<void>
}

/** Which rules a name server follows where the lines differ. */
export type Line = 'ours' | '4.9' | '5.x'

/** One kind of name server that the suites run against. */
export interface Subject {
  readonly name: string
  readonly line: Line
  /** Why it cannot run here, or false. */
  readonly skip: string | false
  start(owner: Owner, properties?: Properties): Promise<RunningNameServer>
}

const embedded: Subject = { name: 'ours', line: 'ours', skip: false, start: startOurs }
const asProgram: Subject = { name: 'our mqnamesrv', line: 'ours', skip: false, start: startOurProgram }

/** A name server of Apache's as a subject. */
async function apache(release: Release): Promise<Subject> {
  return {
    name: `Apache ${release}`,
    line: release.startsWith('4.') ? '4.9' : '5.x',
    skip: await skipReason(),
    start: (owner, properties) => startApacheNameServer(owner, release, properties),
  }
}

/** Names the only subject to run, `Apache 5.5.0` for example: to see whether a case or a server is wrong. */
const only = process.env['GANTRY_INTEROP_SUBJECT']

async function everySubject(): Promise<Subject[]> {
  return [embedded, asProgram, ...(await Promise.all(RELEASES.map(apache)))]
}

/** Ours first, then each Apache. */
export async function contractSubjects(): Promise<Subject[]> {
  const subjects = await everySubject()
  return only === undefined ? subjects : subjects.filter(subject => subject.name === only)
}

/** Those that real brokers and clients are let loose on: our program, which can be killed. */
export async function scenarioSubjects(): Promise<Subject[]> {
  const subjects = await everySubject()
  return subjects.filter(subject => subject.name === (only ?? asProgram.name))
}
