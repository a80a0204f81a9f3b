import { RELEASES } from '../src/launch/apache.ts'
import { securityScenarios } from '../src/client/security.ts'

for (const release of RELEASES) await securityScenarios(release)
