import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { TopicConfig } from '@gantrymq/protocol'
import {
  dataVersion,
  headOf,
  identityOf,
  NOW,
  registration,
  shown,
  slave,
  topicConfig,
  topicNames,
} from '../../test/registrations.ts'
import { RouteTable } from './route-table.ts'

function begin(table: RouteTable, whole: ReturnType<typeof registration>) {
  const begun = table.beginRegistration(headOf(whole), NOW)
  assert.ok(begun.result !== 'ignored')
  return begun
}

function configsOf(whole: ReturnType<typeof registration>): TopicConfig[] {
  return [...whole.body.topics.values()]
}

const four = registration({ topics: ['T1', 'T2', 'T3', 'T4'] })

describe('a registration in slices', () => {
  test('is complete after its last slice, and not before', () => {
    const table = new RouteTable()
    const { token, topics, result } = begin(table, four)
    assert.deepEqual([topics, result], ['all', 'new'])
    const ask = () => table.queryDataVersion('C', '10.0.0.1:10911', dataVersion(1), NOW, 1).changed
    for (const config of configsOf(four)) {
      assert.equal(ask(), true)
      assert.deepEqual(table.applyTopics(token, [config]), { added: [config.topicName], changed: [] })
    }
    assert.equal(ask(), true)
    assert.deepEqual(table.completeRegistration(token, NOW), { deleted: [] })
    assert.equal(ask(), false)
  })

  const interruptions: [string, (table: RouteTable) => unknown][] = [
    ['unregistered', table => table.unregister([identityOf(four)])],
    ['lost its connection', table => table.dropPeer(1, NOW)],
    ['expired', table => table.expire(NOW + 120_001)],
    ['registered again', table => begin(table, { ...four, peer: 2 })],
    ['was replaced', table => begin(table, { ...four, brokerAddr: 'elsewhere' })],
  ]
  for (const [what, interrupt] of interruptions) {
    for (let slices = 0; slices <= 4; slices++) {
      test(`ends when the broker ${what} after ${slices} of 4 topics; the next one is read in full`, () => {
        const table = new RouteTable()
        const { token } = begin(table, four)
        for (const config of configsOf(four).slice(0, slices)) table.applyTopics(token, [config])
        interrupt(table)
        const before = topicNames(table)
        assert.equal(table.applyTopics(token, configsOf(four)), false)
        assert.equal(table.applyMappings(token, []), false)
        assert.equal(table.completeRegistration(token, NOW), false)
        assert.deepEqual(topicNames(table), before)
        assert.equal(table.queryDataVersion('C', '10.0.0.1:10911', dataVersion(1), NOW, 1).changed, true)
        assert.equal(table.needsTopics(headOf(four)), true)
        const again = table.registerBroker({ ...four, peer: 9 }, NOW)
        assert.ok(again.result !== 'ignored' && again.result !== 'unchanged')
        assert.deepEqual(topicNames(table), ['T1', 'T2', 'T3', 'T4'])
      })
    }
  }

  test('that never completes does not block a return to the previous version', () => {
    const table = new RouteTable()
    for (let i = 0; i < 3; i++) table.registerBroker(four, NOW)
    const changed = registration({ version: 2, topics: [topicConfig('T1', { perm: 4 })] })
    const { token } = begin(table, changed)
    table.applyTopics(token, configsOf(changed))
    assert.equal(shown(table, 'T1'), 'broker-a{0:10.0.0.1}4')
    const back = table.registerBroker(four, NOW)
    assert.equal(back.result, 'changed')
    assert.equal(shown(table, 'T1'), 'broker-a{0:10.0.0.1}6')
  })

  test('of a slave needs no topics, and takes none', () => {
    const table = new RouteTable()
    const { token, topics } = begin(table, slave())
    assert.equal(topics, 'none')
    assert.deepEqual(table.applyTopics(token, configsOf(four)), { added: [], changed: [] })
    assert.deepEqual(table.completeRegistration(token, NOW), { deleted: [] })
    assert.deepEqual(topicNames(table), [])
  })

  test('of a slave stops counting when a master registers between two slices', () => {
    const table = new RouteTable()
    const lonely = slave({ enableActingMaster: true, topics: ['T1', 'T2', 'T3', 'T4'] })
    const { token } = begin(table, lonely)
    const [first, ...others] = configsOf(lonely) as [TopicConfig, ...TopicConfig[]]
    table.applyTopics(token, [first])
    assert.equal(shown(table, 'T1'), 'broker-a{1:10.0.0.2}4')
    table.registerBroker(registration({ enableActingMaster: true, topics: ['T1', 'T2'] }), NOW)
    table.applyTopics(token, others)
    table.completeRegistration(token, NOW)
    assert.deepEqual(topicNames(table), ['T1', 'T2'])
    assert.equal(shown(table, 'T2'), 'broker-a{0:10.0.0.1,1:10.0.0.2}6')
    table.unregister([identityOf(registration())])
    assert.equal(table.needsTopics(headOf(lonely)), true)
    table.registerBroker(lonely, NOW)
    assert.equal(shown(table, 'T4'), 'broker-a{1:10.0.0.2}4')
  })

  for (const before of [0, 1, 2]) {
    test(`after ${before} others is read again if a topic is deleted before its end`, () => {
      const table = new RouteTable()
      for (let i = 0; i < before; i++) table.registerBroker(four, NOW)
      if (before === 2) table.deleteTopic('T2')
      const { token } = begin(table, four)
      table.applyTopics(token, configsOf(four))
      table.deleteTopic('T1')
      table.completeRegistration(token, NOW)
      assert.equal(table.needsTopics(headOf(four)), true)
      table.registerBroker(four, NOW)
      assert.deepEqual(topicNames(table).toSorted(), ['T1', 'T2', 'T3', 'T4'])
    })
  }

  test('deletes unlisted topics only at its end', () => {
    const table = new RouteTable({ deleteTopicWithBrokerRegistration: true })
    table.registerBroker(four, NOW)
    const fewer = registration({ version: 2, topics: ['T3', 'T4'] })
    const { token } = begin(table, fewer)
    for (const config of configsOf(fewer)) table.applyTopics(token, [config])
    assert.equal(topicNames(table).length, 4)
    assert.deepEqual(table.completeRegistration(token, NOW), {
      deleted: [
        { topic: 'T1', gone: true },
        { topic: 'T2', gone: true },
      ],
    })
  })

  test('refuses a bad topic name even without checkTopics, and stays incomplete', () => {
    const table = new RouteTable()
    const { token } = begin(table, four)
    assert.throws(() => table.applyTopics(token, [topicConfig('bad\u0000name')]), { code: 'BAD_TOPIC_NAME' })
    assert.equal(table.needsTopics(headOf(four)), true)
  })
})
