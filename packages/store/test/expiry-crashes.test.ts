import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setImmediate } from 'node:timers/promises'
import { ManualClock, type Numbers, numbersFrom } from '@gantrymq/remoting/testing'
import { APPENDED, Found, MessageStore } from '../src/index.ts'
import { type DiskFault, FaultyDisk } from '../src/testing/index.ts'
import { message, Turns } from '../src/testing/store-fixture.ts'

const SEEDS = Number(process.env['STORE_EXPIRY_SEEDS'] ?? 30)
const LIVES = 4
const STEPS = 40
const TOPICS = ['TopicA', 'TopicB', '%RETRY%group']
const FAULTS: readonly DiskFault[] = ['crash before', 'crash within', 'crash after']
const EVER = { max: 64, begin: 0, end: Number.MAX_SAFE_INTEGER }

interface Stored {
  readonly key: string
  readonly position: number
  readonly isAcknowledged: boolean
}

/** A store whose files expire all the time, with extensions of its queues, that crashes again and again. */
class ExpiringRun {
  readonly #numbers: Numbers
  readonly #clock = new ManualClock()
  readonly #isSync: boolean
  readonly #hasExtensions: boolean
  /** By queue and offset. */
  readonly #stored = new Map<string, Stored[]>()
  #disk: FaultyDisk
  #crashAt = Number.POSITIVE_INFINITY
  #appended = 0
  #wasClosed = false
  /** What the store has reported. */
  readonly #problems: string[] = []

  constructor(seed: number) {
    this.#numbers = numbersFrom(seed)
    this.#isSync = this.#numbers(2) === 0
    this.#hasExtensions = this.#numbers(2) === 0
    this.#disk = new FaultyDisk({
      numbers: this.#numbers,
      now: () => this.#clock.now(),
      fault: ({ number }) => (number >= this.#crashAt ? FAULTS[this.#numbers(FAULTS.length)] : undefined),
    })
    for (const topic of TOPICS) for (const id of [0, 1]) this.#stored.set(`${topic}/${id}`, [])
  }

  async run(): Promise<void> {
    for (let life = 0; life < LIVES; life++) {
      const turns = new Turns()
      const store = await this.#open(turns)
      for (const [name, stored] of this.#stored) await this.#check(store, name, stored)
      await this.#use(store, turns)
      await this.#restart()
    }
  }

  async #open(turns: Turns): Promise<MessageStore> {
    if (this.#numbers(3) === 0) this.#crashSoon(60)
    const note = (_fields: object, text: string): void => void this.#problems.push(text)
    this.#problems.length = 0
    for (;;) {
      try {
        const store = await MessageStore.open({
          disk: this.#disk,
          root: '/store',
          clock: this.#clock,
          schedule: turns.schedule,
          logFileBytes: 4_096,
          queueFileBytes: 400,
          extensionFileBytes: 208,
          writeExtensions: this.#hasExtensions,
          indexSlots: 16,
          indexEntries: 64,
          flushMode: this.#isSync ? 'SYNC_FLUSH' : 'ASYNC_FLUSH',
          retention: { reservedMs: 60_000 },
          log: { debug() {}, info() {}, warn: note, error: note },
        })
        // The checkpoint behind a recovery may still be under way: it ends in the turns that follow, without a fault.
        if (!this.#disk.hasCrashed) {
          if (this.#wasClosed) assert.deepEqual(this.#problems, [], 'a store that was closed is whole')
          return store
        }
      } catch (error) {
        if (!this.#disk.hasCrashed) throw error
      } finally {
        this.#wasClosed &&= !this.#disk.hasCrashed
        this.#crashAt = Number.POSITIVE_INFINITY
      }
      await this.#restart()
    }
  }

  /** Every message that exists has its offset, its key and its tags; and offsets begin with the first that exists. */
  async #check(store: MessageStore, name: string, stored: Stored[]): Promise<void> {
    const [topic, id] = name.split('/') as [string, string]
    const queue = store.queueFor(topic, Number(id))
    const found = new Found()
    for (let offset = queue.minOffset; offset < queue.maxOffset; offset = found.nextOffset) {
      found.nextOffset = offset
      if (store.read({ queue, offset, maxMessages: 32, maxBytes: 1 << 20 }, found) === 'LOADING') await found.loading
      for (let index = 0; index < found.count; index++) {
        const record = found.record(index)
        const key = record.toString('utf8', 88, 88 + record.readInt32BE(84))
        const recordOffset = Number(record.readBigInt64BE(20))
        assert.ok(recordOffset >= offset && recordOffset < found.nextOffset)
        const expected = (stored[recordOffset] ??= {
          key,
          position: found.positions[index] ?? 0,
          isAcknowledged: false,
        })
        assert.equal(key, expected.key)
      }
    }
    for (const [offset, { key, position, isAcknowledged }] of stored.entries()) {
      const exists = position >= store.start
      assert.equal(offset >= queue.minOffset && offset < queue.maxOffset, exists, `${name} ${offset}`)
      if (!exists || !isAcknowledged) continue
      // A power failure may bring back the first of the files that were deleted, and not those behind it.
      if ((await store.peek(position, 1)) === undefined) continue
      const { records } = await store.queryKey(topic, key, EVER)
      assert.equal(records.length, 1, `${key} of ${name}`)
      assert.equal((await store.unitAt(queue, offset))?.tagsCode, tagOf(offset).charCodeAt(0))
    }
  }

  async #use(store: MessageStore, turns: Turns): Promise<void> {
    this.#wasClosed = false
    if (this.#numbers(6) > 0) this.#crashSoon(150)
    try {
      for (let step = 0; step < STEPS && !this.#disk.hasCrashed; step++) {
        for (let count = this.#numbers(8); count > 0; count--) this.#append(store)
        turns.end()
        if (this.#numbers(3) === 0) await setImmediate()
        if (this.#numbers(4) === 0) this.#clock.advance(this.#numbers(12_000))
        if (this.#numbers(12) === 0) await store.deleteExpired()
      }
      if (this.#numbers(3) === 0) {
        await store.close()
        this.#wasClosed = !this.#disk.hasCrashed
      }
    } catch (error) {
      if (!this.#disk.hasCrashed) throw error
    }
    await this.#settled()
  }

  #append(store: MessageStore): void {
    const topic = TOPICS[this.#numbers(TOPICS.length)] as string
    const queue = store.queueFor(topic, this.#numbers(2))
    const key = `key${this.#appended++}`
    const properties = `TAGS\u0001${tagOf(queue.nextOffset)}\u0002KEYS\u0001${key}`
    if (store.append(message(queue, key, properties)) !== APPENDED) return
    const { position, end, queueOffset } = store.appended
    const note = (): void => {
      const stored = this.#stored.get(`${topic}/${queue.id}`)
      if (stored !== undefined && !this.#disk.hasCrashed) stored[queueOffset] = { key, position, isAcknowledged: true }
    }
    store.whenSafe(end).then(note, () => {})
  }

  #crashSoon(operations: number): void {
    this.#crashAt = this.#disk.operations + 1 + this.#numbers(operations)
  }

  /** With ASYNC_FLUSH nothing is promised after a power failure. */
  async #restart(): Promise<void> {
    const isKill = !this.#isSync || this.#numbers(2) === 0
    this.#disk = this.#disk.restarted(isKill ? { power: false } : { power: true, survival: 'some' })
    this.#crashAt = Number.POSITIVE_INFINITY
    await this.#settled()
  }

  /** What was under way when the disk crashed has ended. */
  async #settled(): Promise<void> {
    for (let turn = 0; turn < 20; turn++) await setImmediate()
  }
}

function tagOf(offset: number): string {
  return String.fromCharCode(65 + (offset % 3))
}

test('however a store crashes while files expire, queues, keys and extensions agree with the log', async () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    try {
      await new ExpiringRun(seed).run()
    } catch (error) {
      throw new Error(`seed ${seed} of the crashes while files expire`, { cause: error })
    }
  }
})
