import assert from 'node:assert/strict'
import { test } from 'node:test'
import { consumerOffsetsBody } from '@gantrymq/protocol'
import { OffsetTable } from './offset-table.ts'

test('an offset may go back, and the table tells what it was before', () => {
  const table = new OffsetTable()
  assert.equal(table.commit('Orders', 'g', 0, 5), undefined)
  assert.equal(table.commit('Orders', 'g', 0, 3), 5)
  assert.equal(table.get('Orders', 'g', 0), 3)
  assert.equal(table.get('Orders', 'g', 1), undefined)
  assert.equal(table.get('Orders', 'other', 0), undefined)
})

test('committing the same offset again is no change', () => {
  const table = new OffsetTable()
  table.commit('Orders', 'g', 0, 5)
  const { changes } = table
  table.commit('Orders', 'g', 0, 5)
  assert.equal(table.changes, changes)
})

test('the file of Apache with bare integer keys is read and written', () => {
  const text = '{"offsetTable":{"Orders@g":{0:12,1:7},"%RETRY%g@g":{0:1}}}'
  const table = new OffsetTable()
  table.load(consumerOffsetsBody.decode(Buffer.from(text)))
  assert.equal(table.get('Orders', 'g', 1), 7)
  assert.equal(consumerOffsetsBody.encode(table.all).toString(), text)
})

test('entries of a file that do not name one topic and one group are left out', () => {
  const table = new OffsetTable()
  const text = '{"offsetTable":{"a@b@c":{0:1},"nothing":{0:1},"Orders@g":{0:1}}}'
  table.load(consumerOffsetsBody.decode(Buffer.from(text)))
  assert.deepEqual([...table.all.keys()], ['Orders@g'])
})

test('a reset counts until it was taken once, and overrides what consumers commit', () => {
  const table = new OffsetTable()
  table.commit('Orders', 'g', 0, 50)
  table.reset('Orders', 'g', 0, 10)
  assert.equal(table.isReset('Orders', 'g', 0), true)
  table.commit('Orders', 'g', 0, 51)
  assert.equal(table.get('Orders', 'g', 0), 10)
  assert.equal(table.takeReset('Orders', 'g', 0), 10)
  assert.equal(table.takeReset('Orders', 'g', 0), undefined)
  assert.equal(table.isReset('Orders', 'g', 0), false)
})

test('topics and groups with offsets are found from each other', () => {
  const table = new OffsetTable()
  table.commit('Orders', 'g', 0, 1)
  table.commit('Orders', 'h', 0, 1)
  table.commit('Bills', 'g', 0, 1)
  assert.deepEqual(table.topicsOf('g'), ['Orders', 'Bills'])
  assert.deepEqual(table.groupsOf('Orders'), ['g', 'h'])
})

test('a copy of offsets is independent of its source', () => {
  const table = new OffsetTable()
  table.commit('Orders', 'g', 0, 1)
  table.copy('Orders', 'g', 'h')
  table.copy('Missing', 'g', 'h')
  table.commit('Orders', 'g', 0, 2)
  assert.equal(table.get('Orders', 'h', 0), 1)
  assert.deepEqual(table.topicsOf('h'), ['Orders'])
})

test('the offsets of a group or of a topic are removed, resets included', () => {
  const table = new OffsetTable()
  for (const group of ['g', 'h']) for (const topic of ['Orders', 'Bills']) table.commit(topic, group, 0, 1)
  table.reset('Orders', 'g', 0, 9)
  table.removeGroup('g')
  assert.deepEqual([...table.all.keys()], ['Orders@h', 'Bills@h'])
  assert.equal(table.isReset('Orders', 'g', 0), false)
  table.removeTopic('Orders')
  assert.deepEqual([...table.all.keys()], ['Bills@h'])
})
