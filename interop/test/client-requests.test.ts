import { test } from 'node:test'
import { skipReason } from '../src/launch/apache.ts'
import { makers } from '../src/launch/brokers.ts'
import { checkPop } from '../src/requests/pop-checks.ts'
import { checkQueries, checkMembership, checkSendAndPull } from '../src/requests/checks.ts'
import { startBrokerUnderTest } from '../src/requests/broker-under-test.ts'

const skip = await skipReason()

for (const maker of [...makers, 'ours in memory'] as const) {
  const isOurs = maker === 'ours' || maker === 'ours in memory'
  const name = isOurs ? `our broker${maker.slice('ours'.length)}` : `a broker of ${maker}`
  test(`${name} understands our requests, and we understand its answers`, {
    skip: isOurs ? false : skip,
  }, async t => {
    const broker = await startBrokerUnderTest(t, maker)
    await t.test('sending and pulling', () => checkSendAndPull(broker, 'requests-pull'))
    await t.test('finding messages and offsets', () => checkQueries(broker, 'requests-find'))
    await t.test('membership of a group', () => checkMembership(broker, 'requests-member'))
    if (maker === '5.5.0' || maker === 'ours in memory') await t.test('popping', () => checkPop(broker, 'requests-pop'))
  })
}
