import { adminComparison } from '../src/admin-comparison.ts'
import { RELEASES } from '../src/apache.ts'
import { scenarioSubjects } from '../src/subjects.ts'

for (const subject of await scenarioSubjects()) for (const release of RELEASES) await adminComparison(subject, release)
