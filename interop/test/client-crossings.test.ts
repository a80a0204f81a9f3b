import { crossingScenarios } from '../src/client/scenarios.ts'

await crossingScenarios({ release: '4.9.7', nameServer: 'Apache' })
await crossingScenarios({ release: '5.5.0', nameServer: 'ours' })
await crossingScenarios({ release: '5.5.0', nameServer: 'ours', broker: 'ours' })
