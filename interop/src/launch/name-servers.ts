import { type Release, RELEASES, skipReason } from './apache.ts'
import type { Owner } from './launched.ts'
import { type Properties, type RunningNameServer, startApacheNameServer } from './launcher.ts'
import { startOurProgram, startOurs } from './our-name-server.ts'

/** Which rules a name server follows where the lines differ. */
export type ReleaseLine = 'ours' | '4.9' | '5.x'

/** One kind of name server that the suites run against. */
export interface NameServerKind {
  readonly name: string
  readonly line: ReleaseLine
  /** Why it cannot run here, or false. */
  readonly skip: string | false
  start(owner: Owner, properties?: Properties): Promise<RunningNameServer>
}

const embedded: NameServerKind = { name: 'ours', line: 'ours', skip: false, start: startOurs }
const asProgram: NameServerKind = { name: 'our mqnamesrv', line: 'ours', skip: false, start: startOurProgram }

/** A name server of Apache's as a kind. */
async function apache(release: Release): Promise<NameServerKind> {
  return {
    name: `Apache ${release}`,
    line: release.startsWith('4.') ? '4.9' : '5.x',
    skip: await skipReason(),
    start: (owner, properties) => startApacheNameServer(owner, release, properties),
  }
}

/** Names the only kind to run, `Apache 5.5.0` for example: to see whether a case or a server is wrong. */
const only = process.env['GANTRY_INTEROP_SUBJECT']

async function everySubject(): Promise<NameServerKind[]> {
  return [embedded, asProgram, ...(await Promise.all(RELEASES.map(apache)))]
}

/** Ours first, then each Apache. */
export async function contractNameServers(): Promise<NameServerKind[]> {
  const kinds = await everySubject()
  return only === undefined ? kinds : kinds.filter(kind => kind.name === only)
}

/** Those that real brokers and clients are let loose on: our program, which can be killed. */
export async function programNameServers(): Promise<NameServerKind[]> {
  const kinds = await everySubject()
  return kinds.filter(kind => kind.name === (only ?? asProgram.name))
}
