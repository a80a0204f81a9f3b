import { ourBrokerScenarios } from '../src/client/scenarios.ts'

await ourBrokerScenarios({ release: '4.9.7', nameServer: 'ours', broker: 'ours', title: 'broker' })
await ourBrokerScenarios({ release: '5.5.0', nameServer: 'Apache', broker: 'ours', title: 'broker' })
