import { RELEASES } from '../src/apache.ts'
import { brokerScenarios } from '../src/scenarios.ts'
import { scenarioSubjects } from '../src/subjects.ts'

for (const subject of await scenarioSubjects()) await brokerScenarios(subject, '4.9.7', RELEASES)
