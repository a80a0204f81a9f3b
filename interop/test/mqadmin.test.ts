import { adminComparison } from '../src/contract/admin-comparison.ts'
import { RELEASES } from '../src/launch/apache.ts'
import { scenarioSubjects } from '../src/launch/subjects.ts'

for (const subject of await scenarioSubjects()) for (const release of RELEASES) await adminComparison(subject, release)
