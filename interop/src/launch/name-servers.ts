import { type Release, RELEASES, skipReason } from './apache.ts'
import type { Owner } from './launched-program.ts'
import { type Properties, type RunningNameServer, startApacheNameServer } from './launcher.ts'
import { startOurProgram, startOurs } from './our-name-server.ts'

/** Whose rules a name server follows where the release lines differ. */
export type ReleaseLine = 'ours' | '4.9' | '5.x'

/** A kind of name server that the suites run against. */
export interface NameServerKind {
  readonly name: string
  readonly line: ReleaseLine
  /** The reason why it cannot run here; false if it can. */
  readonly skip: string | false
  start(owner: Owner, properties?: Properties): Promise<RunningNameServer>
}

const embedded: NameServerKind = { name: 'ours', line: 'ours', skip: false, start: startOurs }
const asProgram: NameServerKind = { name: 'our mqnamesrv', line: 'ours', skip: false, start: startOurProgram }

async function apache(release: Release): Promise<NameServerKind> {
  return {
    name: `Apache ${release}`,
    line: release.startsWith('4.') ? '4.9' : '5.x',
    skip: await skipReason(),
    start: (owner, properties) => startApacheNameServer(owner, release, properties),
  }
}

/** Restricts the run to one kind, `Apache 5.5.0` for example: shows whether a case or our server is wrong. */
const only = process.env['GANTRY_INTEROP_SUBJECT']

async function allKinds(): Promise<NameServerKind[]> {
  return [embedded, asProgram, ...(await Promise.all(RELEASES.map(apache)))]
}

/** The kinds that must fulfil the contract: ours first, then each Apache release. */
export async function contractNameServers(): Promise<NameServerKind[]> {
  const kinds = await allKinds()
  return only === undefined ? kinds : kinds.filter(kind => kind.name === only)
}

/** The kinds that run with real brokers and clients: our program, because it can be killed. */
export async function programNameServers(): Promise<NameServerKind[]> {
  const kinds = await allKinds()
  return kinds.filter(kind => kind.name === (only ?? asProgram.name))
}
