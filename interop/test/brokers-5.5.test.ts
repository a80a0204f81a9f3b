import { RELEASES } from '../src/launch/apache.ts'
import { brokerScenarios } from '../src/contract/broker-scenarios.ts'
import { scenarioSubjects } from '../src/launch/subjects.ts'

for (const subject of await scenarioSubjects()) await brokerScenarios(subject, '5.5.0', RELEASES)
