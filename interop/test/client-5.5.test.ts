import { clientScenarios } from '../src/client/scenarios.ts'

// A broker registers the retry topic of a group in pop mode only with its next registration.
const properties = { registerNameServerPeriod: 10_000 }

await clientScenarios({ release: '5.5.0', nameServer: 'Apache', properties })
