import { RELEASES } from '../src/apache.ts'
import { securityScenarios } from '../src/client-security.ts'

for (const release of RELEASES) await securityScenarios(release)
