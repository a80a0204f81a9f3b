import { test } from 'node:test'
import { RELEASES, skipReason } from '../src/launch/apache.ts'
import { checkPop } from '../src/requests/pop-checks.ts'
import { checkQueries, checkMembership, checkSendAndPull } from '../src/requests/checks.ts'
import { startBrokerUnderTest } from '../src/requests/broker-under-test.ts'

const skip = await skipReason()

for (const release of RELEASES) {
  test(`a broker of ${release} understands our requests, and we understand its answers`, { skip }, async t => {
    const broker = await startBrokerUnderTest(t, release)
    await t.test('sending and pulling', () => checkSendAndPull(broker, 'requests-pull'))
    await t.test('finding messages and offsets', () => checkQueries(broker, 'requests-find'))
    await t.test('membership of a group', () => checkMembership(broker, 'requests-member'))
    if (release === '5.5.0') await t.test('popping', () => checkPop(broker, 'requests-pop'))
  })
}
