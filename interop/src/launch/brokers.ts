import { type Release, RELEASES } from './apache.ts'
import type { Owner } from './launched-program.ts'
import { type BrokerStart, type LaunchedServer, startApacheBroker } from './launcher.ts'
import { startOurBroker } from './our-broker.ts'

/** Whose broker: ours, or Apache's of a release. */
export type Maker = 'ours' | Release
export const makers: readonly Maker[] = ['ours', ...RELEASES]

/** Starts a broker of either maker. */
export function startBrokerOf(
  maker: Maker,
  owner: Owner,
  start: Omit<BrokerStart, 'release'>,
): Promise<LaunchedServer> {
  if (maker === 'ours') return startOurBroker(owner, { ...start, release: '5.5.0' })
  return startApacheBroker(owner, { ...start, release: maker })
}
