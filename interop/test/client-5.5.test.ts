import { clientScenarios } from '../src/client/scenarios.ts'

// Name servers hear of retry topics of groups that pop with the next registration only.
const properties = { registerNameServerPeriod: 10_000 }

await clientScenarios({ release: '5.5.0', nameServer: 'Apache', properties })
