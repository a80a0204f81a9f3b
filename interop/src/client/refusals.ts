import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Cluster } from './cluster.ts'
import { startOurBroker } from '../launch/our-broker.ts'
import type { Properties } from '../launch/launcher.ts'
import { eventually } from '../eventually.ts'
import { unique } from '../unique.ts'
import { ask } from '../wire/raw-connection.ts'
import type { RawRequest } from '../wire/raw-frame.ts'

const NOT_SUPPORTED = 3
const SYSTEM_ERROR = 1

const timerMessage: RawRequest = {
  code: 10,
  extFields: {
    producerGroup: 'refused',
    topic: 'TBW102-refused',
    defaultTopic: 'TBW102',
    defaultTopicQueueNums: '1',
    queueId: '0',
    sysFlag: '0',
    bornTimestamp: '1700000000000',
    flag: '0',
    properties: 'TIMER_DELAY_MS\u000160000\u0002',
  },
  body: 'later',
}

const popMode: RawRequest = {
  code: 401,
  body: JSON.stringify({ topic: 'TBW102', consumerGroup: 'refused', mode: 'POP', popShareQueueNum: 0 }),
}

/** Requests that our broker does not serve, by code, and the reason in its refusal. */
const unserved: readonly (readonly [code: number, name: string, reason: string])[] = [
  [50, 'UPDATE_AND_CREATE_ACL_CONFIG', 'this broker has no access control'],
  [52, 'GET_BROKER_CLUSTER_ACL_INFO', 'this broker has no access control'],
  [3001, 'AUTH_CREATE_USER', 'this broker has no access control'],
  [3006, 'AUTH_CREATE_ACL', 'this broker has no access control'],
  [513, 'UPDATE_AND_CREATE_STATIC_TOPIC', 'this broker has no static topics'],
  [907, 'GET_BROKER_HA_STATUS', 'this broker has no slaves and no controller'],
  [354, 'CHECK_ROCKSDB_CQ_WRITE_PROGRESS', 'this broker stores nothing in RocksDB'],
  [2003, 'GET_COLD_DATA_FLOW_CTR_INFO', 'this broker does not limit the reading of cold data'],
]

/** Settings with which our broker does not start, and what it prints. */
const unstartable: readonly (readonly [settings: Properties, printed: RegExp])[] = [
  [{ aclEnable: true }, /aclEnable.*access control/],
  [{ authenticationEnabled: true }, /authenticationEnabled.*access control/],
  [{ brokerRole: 'SLAVE' }, /brokerRole/],
  [{ enablePropertyFilter: true }, /enablePropertyFilter.*SQL92/],
]

/** What our broker does not do: each request for it gets Apache's code and a reason, and the connection goes on. */
export function refusals(cluster: () => Cluster): void {
  for (const [code, name, reason] of unserved) {
    test(`${code} ${name} is refused: ${reason}`, async () => {
      const answer = await ask(cluster().broker.port, { code, extFields: {} })
      assert.equal(answer.code, NOT_SUPPORTED)
      assert.equal(answer.remark, ` request type ${code} not supported: ${reason}`)
    })
  }

  for (const [name, request] of [
    ['a timer message', timerMessage],
    ['the pop mode of a group', popMode],
  ] as const) {
    test(`${name} is refused as by an Apache broker without a timer wheel`, async () => {
      const { code, remark } = await ask(cluster().broker.port, request)
      assert.equal(code, SYSTEM_ERROR)
      assert.match(remark ?? '', /timerWheelEnable is false: this broker keeps its messages in a folder/)
    })
  }

  test('a Java consumer with a filter in SQL92 is refused as by an Apache broker without enablePropertyFilter', async t => {
    const topic = await cluster().topic()
    const settings = { group: unique('group'), subscriptions: { [topic]: { sql: 'a > 1' } } }
    const remark = /CODE: 1 .*The broker does not support consumer to filter message by SQL92/
    // A 4.9 client asks a random broker of the route, and not at all if it does not know the route yet.
    await eventually(() => assert.rejects(cluster().java.consume(t, settings), remark))
  })

  test('a pop is refused as by an Apache broker without timerWheelEnable, because the broker has a folder', async () => {
    const topic = await cluster().topic()
    const where = { consumerGroup: unique('group'), topic, queueId: '0', initMode: '0' }
    const extFields = { ...where, maxMsgNums: '1', invisibleTime: '10000', pollTime: '0', bornTime: '0' }
    const answer = await ask(cluster().broker.port, { code: 200_050, extFields })
    assert.equal(answer.code, 1)
    assert.match(answer.remark ?? '', /pop message is forbidden because timerWheelEnable is false: .*--memory/)
  })

  // Java's client tries it three times and does not say why it failed.
  test('so is a message that asks to be delivered at a time', async () => {
    const topic = await cluster().topic()
    const remark = /accurate timer message is not enabled, timerWheelEnable is false: .*--memory/
    await assert.rejects(cluster().ours.send([{ topic, body: 'late', delayMs: 5_000 }]), remark)
  })

  for (const [settings, printed] of unstartable) {
    test(`${JSON.stringify(settings)} ends the start with a sentence`, async t => {
      const owner = { after: (close: () => Promise<void>) => t.after(close) }
      const { release, nameServers } = cluster()
      const start = { release, name: 'refused', nameServers: [nameServers], properties: settings }
      await assert.rejects(startOurBroker(owner, start), printed)
    })
  }
}
