import { adminComparison } from '../src/contract/admin-comparison.ts'
import { RELEASES } from '../src/launch/apache.ts'
import { programNameServers } from '../src/launch/name-servers.ts'

for (const kind of await programNameServers()) for (const release of RELEASES) await adminComparison(kind, release)
