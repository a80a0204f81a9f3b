import { clientScenarios } from '../src/client/scenarios.ts'

await clientScenarios({ release: '4.9.7', nameServer: 'ours', broker: 'ours' })
await clientScenarios({ release: '5.5.0', nameServer: 'Apache', broker: 'ours' })
