import { RELEASES } from '../src/apache.ts'
import { placeScenarios } from '../src/client-places.ts'

for (const release of RELEASES) await placeScenarios({ release, nameServer: 'ours', title: 'places' })
