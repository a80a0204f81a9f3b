import assert from 'node:assert/strict'
import { test } from 'node:test'
import { MessageCounts } from './message-counts.ts'

function ticked(counts: MessageCounts, seconds: number, each: () => void = () => {}): MessageCounts {
  for (let second = 0; second < seconds; second++) {
    each()
    counts.tick(1)
  }
  return counts
}

test('the rate of a topic is that of the last minute', () => {
  const counts = new MessageCounts()
  ticked(counts, 120, () => counts.stored('Orders', 5, 500))
  assert.equal(counts.putRate('Orders'), 5)
  ticked(counts, 60)
  assert.equal(counts.putRate('Orders'), 0)
  assert.equal(counts.putRate('unknown'), 0)
})

test('rates of a topic are those of each group that reads it', () => {
  const counts = new MessageCounts()
  ticked(counts, 60, () => counts.delivered('Orders', 'g', 2, 1))
  assert.equal(counts.getRate('Orders', 'g'), 2)
  assert.equal(counts.getRate('Orders', 'h'), 0)
  assert.equal(counts.got.messages, 120)
})

test('the total rates appear as soon as there was enough time', () => {
  const counts = new MessageCounts()
  counts.tick(1)
  assert.deepEqual(counts.put.rates, { last10: undefined, last60: undefined, last600: undefined })
  ticked(counts, 60, () => counts.stored('a', 3, 1))
  assert.deepEqual(counts.put.rates, { last10: 3, last60: 3, last600: undefined })
  ticked(counts, 600, () => counts.stored('a', 1, 1))
  assert.deepEqual(counts.put.rates, { last10: 1, last60: 1, last600: 1 })
})

test('the totals of a day are kept at midnight', () => {
  const counts = new MessageCounts()
  counts.tick(1)
  counts.stored('a', 10, 1)
  counts.tick(2)
  counts.stored('a', 5, 1)
  counts.tick(2)
  assert.deepEqual(counts.put.days, { yesterdayMorning: 0, todayMorning: 10, now: 15 })
  counts.tick(3)
  assert.deepEqual(counts.put.days, { yesterdayMorning: 10, todayMorning: 15, now: 15 })
})

test('a deleted topic or group is forgotten', () => {
  const counts = new MessageCounts()
  counts.stored('Orders', 1, 1)
  for (const topic of ['Orders', 'Bills']) for (const group of ['g', 'h']) counts.delivered(topic, group, 1, 1)
  counts.forgetTopic('Orders')
  counts.forgetGroup('h')
  assert.deepEqual([...counts.putByTopic.keys()], [])
  assert.deepEqual([...counts.gotByGroup.keys()], ['Bills@g'])
})
