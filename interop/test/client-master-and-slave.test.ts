import { RELEASES } from '../src/launch/apache.ts'
import { placeScenarios } from '../src/client/master-and-slave.ts'

for (const release of RELEASES) await placeScenarios({ release, nameServer: 'ours', title: 'places' })
