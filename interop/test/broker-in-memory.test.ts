import { inMemoryScenarios } from '../src/client/scenarios.ts'

await inMemoryScenarios({ release: '5.5.0', nameServer: 'ours', broker: 'ours in memory' })
