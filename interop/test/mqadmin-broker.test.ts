import { RELEASES } from '../src/launch/apache.ts'
import { mqadminComparison } from '../src/mqadmin/comparison.ts'

for (const release of RELEASES) await mqadminComparison(release)
