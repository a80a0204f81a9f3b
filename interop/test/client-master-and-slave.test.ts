import { RELEASES } from '../src/launch/apache.ts'
import { masterAndSlaveScenarios } from '../src/client/master-and-slave.ts'

for (const release of RELEASES)
  await masterAndSlaveScenarios({ release, nameServer: 'ours', title: 'master and slave' })
