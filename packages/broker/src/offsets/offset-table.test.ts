import assert from 'node:assert/strict'
import { test } from 'node:test'
import { consumerOffsetsBody } from '@gantrymq/protocol'
import { numbersFrom } from '@gantrymq/remoting/testing'
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

test('the topics of a group are found without a look at the offsets of other groups', t => {
  const table = new OffsetTable()
  const groups = Array.from({ length: 1000 }, (_, number) => `g${number}`)
  for (const group of groups) table.commit('Orders', group, 0, 1)
  const split = t.mock.method(String.prototype, 'split')
  for (const group of groups) assert.deepEqual(table.topicsOf(group), ['Orders'])
  assert.equal(split.mock.callCount(), 0)
})

test('groups and topics agree with the offsets, whatever was committed, copied, removed and loaded', () => {
  for (let seed = 0; seed < 20; seed++) {
    const numbers = numbersFrom(seed)
    let table = new OffsetTable()
    const [topic, group] = [() => `t${numbers(4)}`, () => `g${numbers(4)}`]
    for (let step = 0; step < 200; step++) {
      const choice = numbers(20)
      if (choice < 14) table.commit(topic(), group(), numbers(3), numbers(9))
      else if (choice < 16) table.copy(topic(), group(), group())
      else if (choice < 17) table.removeGroup(group())
      else if (choice < 18) table.removeTopic(topic())
      else if (choice < 19) table.reset(topic(), group(), 0, numbers(9))
      else {
        const loaded = new OffsetTable()
        loaded.load(table.all)
        table = loaded
      }
      const pairs = [...table.groups].flatMap(of => table.topicsOf(of).map(name => `${name}@${of}`))
      assert.deepEqual(pairs.toSorted(), [...table.all.keys()].toSorted())
      for (const name of ['t0', 't1']) {
        const expected = [...table.all.keys()].filter(key => key.startsWith(`${name}@`))
        assert.deepEqual(table.groupsOf(name).map(of => `${name}@${of}`).toSorted(), expected.toSorted()) // biome-ignore format: one thought
      }
    }
  }
})
