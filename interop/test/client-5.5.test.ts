import { clientScenarios } from '../src/client-scenarios.ts'

await clientScenarios({ release: '5.5.0', nameServer: 'Apache' })
