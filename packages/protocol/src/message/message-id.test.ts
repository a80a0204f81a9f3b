import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ManualClock } from '@gantrymq/remoting/testing'
import { mayBeOffsetMessageId, offsetMessageId, UniqueIds, uniqueIdTime } from './message-id.ts'

const november = new Date(2023, 10, 1).getTime()
const december = new Date(2023, 11, 1).getTime()

function makerAt(now: number, ip = '192.168.0.1') {
  const clock = new ManualClock(now)
  return { clock, ids: new UniqueIds({ clock, ip, pid: 1500, seed: 0x18b4aac2 }) }
}

/** Milliseconds of the month in an id over IPv4. */
function sinceMonth(id: string): number {
  return Number.parseInt(id.slice(20, 28), 16)
}

test('the milliseconds of a month exceed 2^31 in its last week', () => {
  const { clock, ids } = makerAt(december - 1)
  const id = ids.next()
  assert.ok(december - 1 - november > 2 ** 31)
  assert.equal(sinceMonth(id), december - 1 - november)
  assert.equal(id.length, 32)
  clock.advance(1)
  assert.equal(sinceMonth(ids.next()), 0)
})

test('a clock set back over the start of a month counts as the start within 1000 seconds, then as the other month', () => {
  const { clock, ids } = makerAt(december + 5)
  assert.equal(sinceMonth(ids.next()), 5)
  clock.advance(-999_999)
  assert.equal(sinceMonth(ids.next()), 0)
  clock.advance(-6)
  assert.equal(sinceMonth(ids.next()), december - november - 1_000_000)
  clock.advance(2_000_000)
  assert.equal(sinceMonth(ids.next()), 1_000_000)
})

test('ids differ while the clock stands still', () => {
  const { ids } = makerAt(november)
  const seen = new Set(Array.from({ length: 65_536 }, () => ids.next()))
  assert.equal(seen.size, 65_536)
})

test('the time of a unique id is read back, even across the start of a month', () => {
  for (const ip of ['192.168.0.1', 'fd00::2']) {
    const { clock, ids } = makerAt(december - 7)
    const made = clock.now()
    const id = ids.next()
    assert.equal(uniqueIdTime(id, made + 1), made)
    assert.equal(uniqueIdTime(id, made + 60_000), made)
    assert.equal(makerAt(made, ip).ids.next().length, ip.includes(':') ? 56 : 32)
    assert.equal(uniqueIdTime(makerAt(made, ip).ids.next(), made + 60_000), made)
  }
})

test('a text that is not a unique id has no time', () => {
  for (const id of ['', 'order-1', '0'.repeat(40)]) assert.equal(uniqueIdTime(id, november), undefined)
  assert.equal(uniqueIdTime(`${'0'.repeat(20)}FFFFFFFF0000`, november), undefined)
})

test('an id can be an offset id only if it contains a port', () => {
  assert.equal(mayBeOffsetMessageId(offsetMessageId({ ip: '1.2.3.4', port: 10911 }, 1024)), true)
  assert.equal(mayBeOffsetMessageId(offsetMessageId({ ip: 'fd00::2', port: 65535 }, 1024)), true)
  assert.equal(mayBeOffsetMessageId(offsetMessageId({ ip: '1.2.3.4', port: 0 }, 1024)), false)
  assert.equal(mayBeOffsetMessageId('C0A80001'), false)
  for (const ip of ['192.168.0.1', 'fd00::2'])
    assert.equal(mayBeOffsetMessageId(makerAt(november, ip).ids.next()), false)
  const zero = new UniqueIds({ clock: new ManualClock(november), ip: '1.2.3.4', pid: 65_536, seed: 0x12345678 })
  assert.equal(mayBeOffsetMessageId(zero.next()), false)
})
