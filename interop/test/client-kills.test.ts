import { faultScenarios } from '../src/client/faults.ts'

await faultScenarios({ release: '5.5.0', nameServer: 'ours' })
await faultScenarios({ release: '5.5.0', nameServer: 'ours', broker: 'ours' })
