import { RELEASES } from '../src/launch/apache.ts'
import { securityScenarios } from '../src/client/security.ts'

for (const release of RELEASES) await securityScenarios({ release })
await securityScenarios({ release: '5.5.0', broker: 'ours' })
