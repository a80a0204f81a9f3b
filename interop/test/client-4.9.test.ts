import { clientScenarios } from '../src/client/scenarios.ts'

await clientScenarios({ release: '4.9.7', nameServer: 'ours' })
