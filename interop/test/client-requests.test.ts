import { test } from 'node:test'
import { RELEASES, skipReason } from '../src/launch/apache.ts'
import { popping } from '../src/requests/pop-checks.ts'
import { finding, living, sendingAndPulling } from '../src/requests/checks.ts'
import { startBrokerUnderTest } from '../src/requests/broker-under-test.ts'

const skip = await skipReason()

for (const release of RELEASES) {
  test(`a broker of ${release} understands the requests of clients, and we its answers`, { skip }, async t => {
    const clients = await startBrokerUnderTest(t, release)
    await t.test('sending and pulling', () => sendingAndPulling(clients, 'requests-pull'))
    await t.test('finding messages and offsets', () => finding(clients, 'requests-find'))
    await t.test('living in a group', () => living(clients, 'requests-live'))
    if (release === '5.5.0') await t.test('popping', () => popping(clients, 'requests-pop'))
  })
}
