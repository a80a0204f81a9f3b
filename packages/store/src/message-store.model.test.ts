import assert from 'node:assert/strict'
import { test } from 'node:test'
import { stringHash } from '@gantrymq/protocol'
import { ManualClock, type Numbers, numbersFrom } from '@gantrymq/remoting/testing'
import { APPENDED, BUSY, TOO_LARGE } from './append-status.ts'
import { MemoryDisk } from './files/memory-disk.ts'
import { Found } from './message-reader.ts'
import { MessageStore } from './message-store.ts'
import type { StoreOptions } from './options.ts'
import { message, Turns } from './testing/store-fixture.ts'

/** A store and a list of messages do the same; whatever is asked, both must answer the same. */
const SEEDS = Number(process.env['STORE_MODEL_SEEDS'] ?? 60)
const STEPS = 60
const TOPICS = ['TopicA', '%RETRY%group', 'Größe']
const QUEUES = 2

interface Expected {
  readonly body: string
  readonly tag: string
  readonly key: string
  readonly position: number
  readonly storeTimestamp: number
}

class Comparison {
  readonly #numbers: Numbers
  readonly #options: StoreOptions
  readonly #clock = new ManualClock()
  readonly #turns = new Turns()
  readonly #expected = new Map<string, Expected[]>()
  #store!: MessageStore
  #appended = 0

  constructor(seed: number) {
    const numbers = numbersFrom(seed)
    this.#numbers = numbers
    const logFileBytes = [600, 2048, 5000, 1 << 20][numbers(4)] as number
    this.#options = {
      disk: new MemoryDisk({ now: () => this.#clock.now() }),
      root: '/store',
      clock: this.#clock,
      schedule: this.#turns.schedule,
      logFileBytes,
      queueFileBytes: [100, 400, 6_000_000][numbers(3)] as number,
      indexSlots: 8,
      indexEntries: [5, 100][numbers(2)] as number,
      flushMode: numbers(2) === 0 ? 'SYNC_FLUSH' : 'ASYNC_FLUSH',
      writeWay: numbers(2) === 0 ? 'pool' : 'loop',
      logBlocks: 16,
      maxUnflushedBytes: 1 << 20,
    }
  }

  async run(): Promise<void> {
    await this.#open()
    for (let step = 0; step < STEPS; step++) await this.#step()
    await this.#settle()
    await this.#compareAll()
    await this.#store.close()
    await this.#open()
    await this.#compareAll()
    await this.#store.close()
  }

  async #open(): Promise<void> {
    this.#store = await MessageStore.open(this.#options)
  }

  async #step(): Promise<void> {
    const choice = this.#numbers(100)
    if (choice < 50) this.#append()
    else if (choice < 60) this.#appendBatch()
    else if (choice < 75) this.#turns.end()
    else if (choice < 82) this.#clock.advance(this.#numbers(4) === 0 ? 10_000 : this.#numbers(1000))
    else if (choice < 85) await this.#reopen()
    else {
      await this.#settle()
      await this.#compareOne()
    }
  }

  async #settle(): Promise<void> {
    const { end } = this.#store
    for (let turn = 0; this.#store.safe < end; turn++) {
      assert.ok(turn < 1000, `only ${this.#store.safe} of ${end} bytes became safe`)
      this.#turns.end()
      await Promise.resolve()
    }
  }

  async #reopen(): Promise<void> {
    await this.#store.close()
    await this.#open()
    assert.equal(this.#store.safe, this.#store.end)
  }

  #pick(): { topic: string; id: number; list: Expected[] } {
    const topic = TOPICS[this.#numbers(TOPICS.length)] as string
    const id = this.#numbers(QUEUES)
    const name = `${topic}/${id}`
    const list = this.#expected.get(name) ?? []
    this.#expected.set(name, list)
    return { topic, id, list }
  }

  #next(topic: string, id: number) {
    const number = this.#appended++
    const body = `message ${number} `.padEnd(this.#numbers(300), 'ü')
    const tag = `tag${this.#numbers(3)}`
    const key = `key${this.#numbers(20)}`
    const properties = `KEYS\u0001${key}\u0002WAIT\u0001true\u0002TAGS\u0001${tag}`
    return { body, tag, key, record: message(this.#store.queueFor(topic, id), body, properties) }
  }

  #append(): void {
    const { topic, id, list } = this.#pick()
    const { record, ...expected } = this.#next(topic, id)
    const status = this.#store.append(record)
    if (status === BUSY || status === TOO_LARGE) return
    assert.equal(status, APPENDED)
    const { position, storeTimestamp, queueOffset } = this.#store.appended
    assert.equal(queueOffset, list.length)
    list.push({ ...expected, position, storeTimestamp })
  }

  #appendBatch(): void {
    const { topic, id, list } = this.#pick()
    const batch = Array.from({ length: 1 + this.#numbers(4) }, () => this.#next(topic, id))
    const status = this.#store.appendBatch(batch.map(({ record }) => record))
    if (status === BUSY || status === TOO_LARGE) return
    assert.equal(status, APPENDED)
    const { appendedPositions, appended } = this.#store
    assert.equal(appended.queueOffset, list.length)
    for (const [i, { record: _, ...expected }] of batch.entries()) {
      list.push({ ...expected, position: appendedPositions[i] as number, storeTimestamp: appended.storeTimestamp })
    }
  }

  async #compareOne(): Promise<void> {
    const { topic, id, list } = this.#pick()
    const queue = this.#store.queue(topic, id)
    assert.equal(queue?.maxOffset ?? 0, list.length)
    if (queue === undefined || list.length === 0) return
    const offset = this.#numbers(list.length)
    const one = list[offset] as Expected
    const unit = await this.#store.unitAt(queue, offset)
    assert.deepEqual([unit?.position, unit?.tagsCode], [one.position, stringHash(one.tag)])
    const record = await this.#store.messageAt(one.position)
    assert.equal(record === undefined ? undefined : bodyOf(record), one.body)
    assert.equal(await this.#store.storeTimeOf(queue, offset), one.storeTimestamp)
    assert.equal(await this.#store.messageAt(one.position + 1 + this.#numbers(20)), undefined)
    await this.#compareTag(topic, id, list, offset)
    await this.#compareKey(topic, one.key)
  }

  /** One read for a tag, from some offset. */
  async #compareTag(topic: string, id: number, list: readonly Expected[], offset: number): Promise<void> {
    const tag = `tag${this.#numbers(3)}`
    const wanted = list.slice(offset).filter(expected => expected.tag === tag)
    const found = await this.#read(topic, id, offset, stringHash(tag))
    assert.equal(found.length > 0, wanted.length > 0)
    // A read may end before something that it must load.
    assert.deepEqual(found, wanted.slice(0, found.length).map(({ body }) => body)) // biome-ignore format: one line
  }

  async #compareKey(topic: string, key: string): Promise<void> {
    const wanted = [...this.#expected].flatMap(([name, list]) =>
      name.startsWith(`${topic}/`) ? list.filter(expected => expected.key === key) : [],
    )
    wanted.sort((a, b) => a.position - b.position)
    const limits = { max: 1000, begin: 0, end: Number.MAX_SAFE_INTEGER }
    const { records } = await this.#store.queryKey(topic, key, limits)
    assert.deepEqual(records.map(bodyOf), wanted.map(({ body }) => body)) // biome-ignore format: one line
  }

  async #compareAll(): Promise<void> {
    for (const [name, list] of this.#expected) {
      const slash = name.lastIndexOf('/')
      const [topic, id] = [name.slice(0, slash), Number(name.slice(slash + 1))]
      const all: string[] = []
      while (all.length < list.length) all.push(...(await this.#read(topic, id, all.length)))
      assert.deepEqual(all, list.map(({ body }) => body)) // biome-ignore format: one line
    }
  }

  async #read(topic: string, id: number, offset: number, tagsCode?: number): Promise<string[]> {
    const found = new Found()
    const accepts = tagsCode === undefined ? undefined : (code: number | undefined) => code === tagsCode
    const query = { queue: this.#store.queueFor(topic, id), offset, maxMessages: 32, maxBytes: 1 << 20, accepts }
    for (let round = 0; this.#store.read(query, found) === 'LOADING'; round++) {
      assert.ok(round < 100, 'a read loads again and again')
      await found.loading
    }
    const out = Buffer.alloc(found.bytes)
    assert.equal(found.copyTo(out, 0), out.length)
    return Array.from({ length: found.count }, (_, index) => bodyOf(found.record(index)))
  }
}

function bodyOf(record: Buffer): string {
  return record.toString('utf8', 88, 88 + record.readInt32BE(84))
}

test(`a store does what a list of messages does (${SEEDS} seeds)`, async () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    try {
      await new Comparison(seed).run()
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error })
    }
  }
})
