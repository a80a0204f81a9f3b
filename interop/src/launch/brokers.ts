import { type Release, RELEASES } from './apache.ts'
import type { Owner } from './launched-program.ts'
import { type BrokerStart, type LaunchedServer, startApacheBroker } from './launcher.ts'
import { startOurBroker, startOurBrokerInMemory } from './our-broker.ts'

/** Whose broker: ours, with a folder or in memory, or Apache's of a release. */
export type Maker = 'ours' | 'ours in memory' | Release
/** Those whose brokers can be killed and started again with their messages. */
export const makers: readonly Maker[] = ['ours', ...RELEASES]

/** Starts a broker of either maker. */
export function startBrokerOf(
  maker: Maker,
  owner: Owner,
  start: Omit<BrokerStart, 'release'>,
): Promise<LaunchedServer> {
  if (maker === 'ours in memory') return startOurBrokerInMemory(owner, { ...start, release: '5.5.0' })
  if (maker === 'ours') return startOurBroker(owner, { ...start, release: '5.5.0' })
  return startApacheBroker(owner, { ...start, release: maker })
}
