import { RELEASES } from '../src/launch/apache.ts'
import { brokerScenarios } from '../src/contract/broker-scenarios.ts'
import { programNameServers } from '../src/launch/name-servers.ts'

for (const kind of await programNameServers()) await brokerScenarios(kind, '5.5.0', RELEASES)
