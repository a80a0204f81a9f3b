import { RELEASES } from '../src/launch/apache.ts'
import { masterAndSlaveScenarios } from '../src/client/master-and-slave.ts'

for (const release of RELEASES)
  await masterAndSlaveScenarios({ release, nameServer: 'ours', title: 'master and slave' })
await masterAndSlaveScenarios({ release: '5.5.0', nameServer: 'ours', broker: 'ours', title: 'master and slave' })
