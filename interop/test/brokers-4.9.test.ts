import { RELEASES } from '../src/launch/apache.ts'
import { brokerScenarios } from '../src/contract/broker-scenarios.ts'
import { scenarioSubjects } from '../src/launch/subjects.ts'

for (const subject of await scenarioSubjects()) await brokerScenarios(subject, '4.9.7', RELEASES)
