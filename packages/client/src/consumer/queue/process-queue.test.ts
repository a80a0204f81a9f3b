import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { ProcessQueue } from './process-queue.ts'

interface Message {
  readonly queueOffset: number
  readonly size: number
}

function messagesAt(...offsets: number[]): Message[] {
  return offsets.map(queueOffset => ({ queueOffset, size: (queueOffset % 7) * 10 }))
}

function queueWith(...offsets: number[]): ProcessQueue<Message> {
  const queue = new ProcessQueue<Message>(0, message => message.size)
  queue.put(messagesAt(...offsets))
  return queue
}

test('the offset to store is the lowest one that is not done', () => {
  const queue = queueWith(10, 11, 12, 15)
  assert.equal(queue.remove(messagesAt(11), 1), 10)
  assert.equal(queue.remove(messagesAt(10), 1), 12)
  assert.equal(queue.remove(messagesAt(15), 1), 12)
  assert.equal(queue.remove(messagesAt(12), 1), 16)
  assert.equal(queue.remove(messagesAt(12), 1), -1)
  assert.equal(queue.lastConsumeAt, 1)
})

test('a message that is pulled twice is counted once', () => {
  const queue = queueWith(3, 4)
  queue.put(messagesAt(3, 4, 5))
  assert.equal(queue.count, 3)
  assert.equal(queue.size, 120)
  queue.take(1, 0)
  queue.put(messagesAt(3))
  assert.equal(queue.count, 3)
})

test('the span is the distance from the first waiting offset to the last', () => {
  assert.equal(queueWith().span, 0)
  assert.equal(queueWith(7).span, 0)
  assert.equal(queueWith(7, 2007).span, 2000)
})

test('an orderly consumer is told to start once, and again only after it found nothing to take', () => {
  const queue = queueWith()
  assert.equal(queue.put([]), false)
  assert.equal(queue.put(messagesAt(1)), true)
  assert.equal(queue.put(messagesAt(2)), false)
  assert.deepEqual(queue.take(9, 5), messagesAt(1, 2))
  assert.deepEqual(queue.take(9, 5), [])
  assert.equal(queue.put(messagesAt(3)), true)
})

test('taken messages count until they are committed', () => {
  const queue = queueWith(1, 2, 3)
  queue.take(2, 0)
  assert.deepEqual([queue.count, queue.takenCount, queue.size, queue.firstOffset], [3, 2, 60, 1])
  assert.deepEqual(queue.takenSpan, { first: 1, last: 2 })
  assert.equal(queue.commit(), 3)
  assert.deepEqual([queue.count, queue.takenCount, queue.size, queue.firstOffset], [1, 0, 30, 3])
  assert.equal(queue.commit(), -1)
})

test('messages that are put back are taken again, in order', () => {
  const queue = queueWith(1, 2, 3, 4)
  const taken = queue.take(3, 0)
  queue.putBack(taken.slice(1))
  assert.deepEqual(queue.take(1, 0), messagesAt(2))
  queue.putBack(messagesAt(1, 2))
  assert.deepEqual(queue.take(9, 0), messagesAt(1, 2, 3, 4))
  assert.equal(queue.size, 100)
})

test('clearing removes the messages and forgets the highest offset', () => {
  const queue = queueWith(50, 51)
  queue.take(1, 0)
  queue.clear()
  assert.deepEqual([queue.count, queue.size, queue.span, queue.firstOffset], [0, 0, 0, undefined])
  queue.put(messagesAt(3))
  assert.equal(queue.remove(messagesAt(3), 0), 4)
})

test('a lock counts for 30 s, and a queue may go without a pull for 2 minutes', () => {
  const queue = new ProcessQueue<Message>(1000, () => 0)
  assert.deepEqual([queue.lockExpired(31_000), queue.lockExpired(31_001)], [false, true])
  assert.deepEqual([queue.pullExpired(121_000), queue.pullExpired(121_001)], [false, true])
  queue.lastLockAt = 2000
  queue.lastPullAt = 2000
  assert.deepEqual([queue.lockExpired(32_000), queue.pullExpired(122_000)], [false, false])
})

/** Apache's ProcessQueue, as plain maps. */
class SortedMaps {
  waiting = new Map<number, Message>()
  taken = new Map<number, Message>()
  max = -1

  put(messages: Message[]): void {
    for (const message of messages) {
      if (this.taken.has(message.queueOffset) || this.waiting.has(message.queueOffset)) continue
      this.waiting.set(message.queueOffset, message)
      this.max = Math.max(this.max, message.queueOffset)
    }
  }

  remove(messages: Message[]): number {
    if (this.waiting.size === 0) return -1
    for (const message of messages) this.waiting.delete(message.queueOffset)
    return this.waiting.size === 0 ? this.max + 1 : Math.min(...this.waiting.keys())
  }

  take(limit: number): Message[] {
    const offsets = [...this.waiting.keys()].sort((a, b) => a - b).slice(0, limit)
    return offsets.map(offset => {
      const message = this.waiting.get(offset) as Message
      this.waiting.delete(offset)
      this.taken.set(offset, message)
      return message
    })
  }

  commit(): number {
    const result = this.taken.size === 0 ? -1 : Math.max(...this.taken.keys()) + 1
    this.taken.clear()
    return result
  }

  putBackAll(): void {
    for (const [offset, message] of this.taken) this.waiting.set(offset, message)
    this.taken.clear()
  }

  get bytes(): number {
    return [...this.waiting.values(), ...this.taken.values()].reduce((sum, message) => sum + message.size, 0)
  }
}

type Step = readonly ['put' | 'remove' | 'take' | 'commit' | 'put back', readonly number[]]

function applyStep(queue: ProcessQueue<Message>, model: SortedMaps, [kind, offsets]: Step, next: number): number {
  const known = offsets.map(offset => next - (offset % 40))
  if (kind === 'put') {
    const start = next + ((offsets[0] ?? 0) % 3)
    const pulled = messagesAt(...offsets.map((_, at) => start + at))
    queue.put(pulled)
    model.put(pulled)
    return start + offsets.length
  }
  if (kind === 'remove') assert.equal(queue.remove(messagesAt(...known), 0), model.remove(messagesAt(...known)))
  if (kind === 'take') assert.deepEqual(queue.take(offsets.length, 0), model.take(offsets.length))
  if (kind === 'commit') assert.equal(queue.commit(), model.commit())
  if (kind === 'put back') {
    queue.putBack([...model.taken.values()])
    model.putBackAll()
  }
  return next
}

test('it behaves like sorted maps, whatever the order of calls', () => {
  const kinds = fc.constantFrom('put', 'put', 'remove', 'remove', 'take', 'commit', 'put back' as const)
  const steps = fc.array(fc.tuple(kinds, fc.array(fc.nat(200), { minLength: 1, maxLength: 20 })), { maxLength: 60 })
  fc.assert(
    fc.property(steps, fc.nat(1e12), (steps, start) => {
      const queue = queueWith()
      const model = new SortedMaps()
      let next = start
      for (const step of steps) {
        next = applyStep(queue, model, step, next)
        assert.equal(queue.count, model.waiting.size + model.taken.size)
        assert.equal(queue.size, model.bytes)
        const waiting = [...model.waiting.keys()]
        assert.equal(queue.span, waiting.length === 0 ? 0 : Math.max(...waiting) - Math.min(...waiting))
      }
    }),
  )
})
