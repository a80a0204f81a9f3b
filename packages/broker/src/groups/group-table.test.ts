import assert from 'node:assert/strict'
import { test } from 'node:test'
import { defaultGroupConfig, PERM_READ } from '@gantrymq/protocol'
import { type GroupSettings, GroupTable } from './group-table.ts'

const START = 1_700_000_000_000

function tableWith(given: Partial<GroupSettings> = {}): GroupTable {
  return new GroupTable(() => ({ autoCreateSubscriptionGroup: true, enableCreateSysGroup: true, ...given }), START)
}

test('a new broker has the groups of the tools of Apache', () => {
  assert.deepEqual([...tableWith().all.keys()].slice(0, 3), [
    'TOOLS_CONSUMER',
    'FILTERSRV_CONSUMER',
    'SELF_TEST_C_GROUP',
  ])
})

test('a group is created at its first use with the settings of Apache', () => {
  const table = tableWith()
  assert.deepEqual(table.createOnUse('consumers', START + 1)?.after, defaultGroupConfig('consumers'))
  assert.deepEqual(table.version, { stateVersion: 0, timestamp: START + 1, counter: 1 })
})

test('no group with an invalid name is created', () => {
  const table = tableWith()
  for (const name of ['', ' ', 'a/b', '../x', 'a\u0000', 'ü', 'x'.repeat(256)]) {
    assert.equal(table.createOnUse(name, START), undefined, name)
  }
  assert.equal(table.version.counter, 0)
})

test('without autoCreateSubscriptionGroup only groups of RocketMQ itself are created', () => {
  const table = tableWith({ autoCreateSubscriptionGroup: false })
  assert.equal(table.createOnUse('consumers', START), undefined)
  assert.ok(table.createOnUse('CID_RMQ_SYS_x', START))
  const closed = tableWith({ autoCreateSubscriptionGroup: false, enableCreateSysGroup: false })
  assert.equal(closed.createOnUse('CID_RMQ_SYS_x', START), undefined)
})

test('a deleted group is no longer forbidden to read anything', () => {
  const table = tableWith()
  const forbidden = new Map([['g', new Map([['Orders', PERM_READ]])]])
  table.load({ dataVersion: table.version, groups: new Map([['g', defaultGroupConfig('g')]]), forbidden })
  assert.equal(table.isForbidden('g', 'Orders'), true)
  assert.equal(table.isForbidden('g', 'Other'), false)
  table.delete('g', START)
  assert.equal(table.isForbidden('g', 'Orders'), false)
})
