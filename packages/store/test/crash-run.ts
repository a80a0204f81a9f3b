import { setImmediate } from 'node:timers/promises'
import { ManualClock, type Numbers, numbersFrom } from '@gantrymq/remoting/testing'
import {
  APPENDED,
  type ConsumeQueue,
  Found,
  MessageStore,
  type NewRecord,
  StoreError,
  type StoreOptions,
} from '../src/index.ts'
import { DiskCrash, type DiskFault, FaultyDisk, type Operation } from '../src/testing/index.ts'
import { message } from '../src/testing/store-fixture.ts'

/** Lives of one store: it is opened, used and ended so often. */
const LIVES = 3
const STEPS = 60
/** Steps that an open or a close may take. More means that it waits for something that does not come. */
const MAX_STEPS = 20_000
const TOPICS = ['TopicA', 'TopicB', '%RETRY%group']
const QUEUES = 2
const BODY_AT = 88

/** A rule that is broken on purpose, to see that the checks notice. */
export interface PlantedFault {
  /** Operations that report success and do nothing. */
  readonly pretends?: (operation: Operation, isOpening: boolean) => boolean
  /** Counts messages as acknowledged when they are written, although the store syncs them first. */
  readonly acknowledgesWritten?: boolean
  /** Is told what the run does, to find out why a seed fails. */
  readonly trace?: (what: string, details: object) => void
}

export interface CrashCounts {
  crashes: number
  crashesInRecovery: number
  operations: number
  acknowledged: number
}

/** Something that a store may never do. */
class Violation extends Error {
  override readonly name = 'Violation'
}

interface Sent {
  readonly id: string
  readonly body: string
  readonly key: string
  readonly queueName: string
  readonly offset: number
  readonly position: number
  readonly end: number
  /** None: it may be gone after a crash. Written: it survives the end of the process. Durable: it survives everything. */
  promise: 'none' | 'written' | 'durable'
  lost: boolean
}

/**
 * One seeded run: a store on a faulty disk takes messages, crashes at some operation of the disk, is opened again, perhaps crashes
 * in its recovery, and so on. After each recovery everything that was promised must be there, once, at its offset, and nothing
 * that was never sent.
 * @throws Violation
 */
export async function crashRun(seed: number, counts: CrashCounts, planted: PlantedFault = {}): Promise<void> {
  await new CrashRun(seed, counts, planted).run()
}

class CrashRun {
  readonly #numbers: Numbers
  readonly #counts: CrashCounts
  readonly #planted: PlantedFault
  readonly #settings: Partial<StoreOptions>
  readonly #isSync: boolean
  #clock = new ManualClock()
  #disk: FaultyDisk
  #turns: (() => void)[] = []
  #completions: (() => void)[] = []
  #operationsLeft = Number.POSITIVE_INFINITY
  #fault: DiskFault = 'crash before'
  #isOpening = false
  #syncFailed = false
  #sent: Sent[] = []
  #number = 0

  constructor(seed: number, counts: CrashCounts, planted: PlantedFault) {
    this.#numbers = numbersFrom(seed)
    this.#counts = counts
    this.#planted = planted
    this.#isSync = this.#chance(1, 2)
    this.#settings = {
      flushMode: this.#isSync ? 'SYNC_FLUSH' : 'ASYNC_FLUSH',
      logFileBytes: this.#oneOf([2_048, 8_192, 65_536]),
      queueFileBytes: this.#oneOf([160, 1_000, 20_000]),
      indexSlots: 50,
      indexEntries: this.#oneOf([20, 1_000]),
      writeWay: this.#oneOf(['loop', 'pool', 'adaptive'] as const),
      checkpointBytes: this.#oneOf([4_096, 1 << 20]),
      logBlocks: 16,
    }
    this.#disk = new FaultyDisk(this.#diskOptions())
  }

  async run(): Promise<void> {
    for (let life = 0; life < LIVES; life++) {
      const store = await this.#openAfterCrashes()
      await this.#check(store)
      await this.#use(store)
    }
    const last = await this.#openAfterCrashes()
    await this.#check(last)
    await this.#settled(last.close())
    this.#counts.operations += this.#disk.operations
  }

  async #openAfterCrashes(): Promise<MessageStore> {
    if (this.#chance(3, 10)) this.#crashSoon(20)
    for (;;) {
      this.#isOpening = true
      try {
        const store = await this.#settled(MessageStore.open(this.#options()))
        // The checkpoint behind a recovery may still be under way when the store is open.
        if (!this.#disk.hasCrashed) return store
      } catch (error) {
        if (!this.#disk.hasCrashed) throw error
      } finally {
        this.#isOpening = false
        this.#operationsLeft = Number.POSITIVE_INFINITY
      }
      this.#counts.crashesInRecovery++
      this.#restart()
    }
  }

  async #use(store: MessageStore): Promise<void> {
    const committed = (): void => this.#acknowledge(store)
    store.onCommit({ committed, lost: from => this.#lose(from) })
    if (this.#chance(8, 10)) this.#crashSoon(120)
    if (this.#chance(1, 10)) this.#fault = this.#oneOf([{ fails: 'ENOSPC' }, { fails: 'EIO' }, 'write short'])
    try {
      for (let step = 0; step < STEPS && !this.#disk.hasCrashed && !this.#syncFailed; step++) await this.#step(store)
      if (this.#chance(1, 4) && !this.#syncFailed) {
        await this.#settled(store.close())
        if (!this.#disk.hasCrashed) this.#acknowledge(store)
      }
    } catch (error) {
      const isExpected = error instanceof DiskCrash || (error instanceof StoreError && typeof this.#fault === 'object')
      if (!this.#disk.hasCrashed && !isExpected) throw error
    }
    this.#restart()
  }

  async #step(store: MessageStore): Promise<void> {
    const choice = this.#numbers(100)
    if (choice < 50) for (let i = this.#numbers(4); i >= 0; i--) this.#append(store)
    else if (choice < 55) this.#appendBatch(store)
    else if (choice < 75) this.#endTurn()
    else if (choice < 90) this.#complete()
    else this.#clock.advance(this.#oneOf([50, 200, 500, 10_000]))
    await setImmediate()
  }

  #append(store: MessageStore): void {
    const queue = this.#queue(store)
    const record = this.#record(queue)
    if (store.append(record.record) !== APPENDED) return
    const { position, end, queueOffset } = store.appended
    this.#remember(record, queue, queueOffset, position, end)
  }

  #appendBatch(store: MessageStore): void {
    const queue = this.#queue(store)
    const records = Array.from({ length: 1 + this.#numbers(4) }, () => this.#record(queue))
    if (store.appendBatch(records.map(each => each.record)) !== APPENDED) return
    const { end, queueOffset } = store.appended
    const positions = [...store.appendedPositions]
    for (const [i, record] of records.entries()) {
      this.#remember(record, queue, queueOffset + i, positions[i] ?? -1, positions[i + 1] ?? end)
    }
  }

  #record(queue: ConsumeQueue): { record: NewRecord; body: string; key: string; id: string } {
    const id = `${this.#number++}`
    const body = `${id}|`.padEnd(10 + this.#numbers(this.#chance(1, 8) ? 1_200 : 120), '.')
    const key = `key${this.#numbers(20)}`
    const record = message(queue, body, `KEYS\u0001${key}\u0002TAGS\u0001tag\u0002`)
    return { record, body, key, id }
  }

  #remember(
    { body, key, id }: { readonly body: string; readonly key: string; readonly id: string },
    queue: ConsumeQueue,
    offset: number,
    position: number,
    end: number,
  ): void {
    const queueName = `${queue.topic}/${queue.id}`
    this.#sent.push({ id, body, key, queueName, offset, position, end, promise: 'none', lost: false })
  }

  #acknowledge(store: MessageStore): void {
    if (this.#disk.hasCrashed) return
    const acknowledged = this.#planted.acknowledgesWritten === true ? store.written : store.safe
    for (const sent of this.#sent) {
      if (sent.lost || sent.promise === 'durable') continue
      const isAcknowledged = sent.end <= acknowledged
      if (isAcknowledged && sent.promise === 'none') this.#counts.acknowledged++
      if (isAcknowledged && (this.#isSync || sent.end <= store.flushed)) sent.promise = 'durable'
      else if (isAcknowledged) sent.promise = 'written'
    }
  }

  #lose(from: number): void {
    if (this.#disk.hasCrashed) return
    for (const sent of this.#sent) {
      if (sent.position < from || sent.promise !== 'none') continue
      sent.lost = true
    }
  }

  /** Everything that was promised is there, and what is there now is durable. */
  async #check(store: MessageStore): Promise<void> {
    const byId = new Map(this.#sent.map(sent => [sent.id, sent]))
    const found = new Map<string, string>()
    const positions = new Set<number>()
    for (const queue of store.queues()) await this.#readQueue(store, queue, byId, found, positions)
    for (const sent of this.#sent) {
      if (sent.promise !== 'none' && !found.has(sent.id)) {
        throw new Violation(`message ${sent.id} of ${sent.queueName} at ${sent.offset}, ${sent.promise}, is lost`)
      }
    }
    await this.#checkLog(store, positions)
    this.#sent = this.#sent.filter(sent => found.has(sent.id))
    for (const sent of this.#sent) sent.promise = 'durable'
    await this.#checkKeys(store)
  }

  async #readQueue(
    store: MessageStore,
    queue: ConsumeQueue,
    byId: ReadonlyMap<string, Sent>,
    found: Map<string, string>,
    positions: Set<number>,
  ): Promise<void> {
    const name = `${queue.topic}/${queue.id}`
    const read = new Found()
    // It begins above 0 if the first files of the log were lost before anything was promised.
    for (let offset = queue.minOffset; offset < queue.maxOffset; ) {
      if (store.read({ queue, offset, maxMessages: 32, maxBytes: 1 << 20 }, read) === 'LOADING') {
        await this.#settled(read.loading ?? Promise.resolve())
        continue
      }
      if (read.status !== 'FOUND') throw new Violation(`${name} has ${read.status} at ${offset} of ${queue.maxOffset}`)
      for (let i = 0; i < read.count; i++, offset++) {
        const record = read.record(i)
        const body = record.toString('latin1', BODY_AT, BODY_AT + record.readInt32BE(BODY_AT - 4))
        const sent = byId.get(body.slice(0, body.indexOf('|')))
        if (sent === undefined) throw new Violation(`${name} has a message at ${offset} that was never sent: ${body}`)
        if (sent.body !== body) throw new Violation(`message ${sent.id} was changed to ${body}`)
        if (found.has(sent.id)) throw new Violation(`message ${sent.id} is there twice`)
        if (sent.queueName !== name || sent.offset !== offset || Number(record.readBigInt64BE(20)) !== offset) {
          throw new Violation(`message ${sent.id} of ${sent.queueName} at ${sent.offset} is in ${name} at ${offset}`)
        }
        if (sent.position !== read.positions[i]) throw new Violation(`message ${sent.id} has moved`)
        found.set(sent.id, name)
        positions.add(sent.position)
      }
      if (read.nextOffset !== offset) throw new Violation(`${name} goes on at ${read.nextOffset} instead of ${offset}`)
    }
  }

  /** The log has the messages of the queues, and no others. */
  async #checkLog(store: MessageStore, positions: ReadonlySet<number>): Promise<void> {
    const file = this.#settings.logFileBytes ?? 0
    let count = 0
    for (let position = store.start; position < store.safe; ) {
      const record = await this.#settled(store.messageAt(position))
      if (record === undefined) {
        position = position - (position % file) + file
        continue
      }
      if (!positions.has(position)) throw new Violation(`the record at ${position} is in no queue`)
      count++
      position += record.length
    }
    if (count !== positions.size)
      throw new Violation(`the queues have ${positions.size} messages, the log has ${count}`)
  }

  async #checkKeys(store: MessageStore): Promise<void> {
    for (let i = 0; i < 3 && this.#sent.length > 0; i++) {
      const sent = this.#oneOf(this.#sent)
      const topic = sent.queueName.slice(0, sent.queueName.lastIndexOf('/'))
      const limits = { max: 1_000, begin: 0, end: Number.MAX_SAFE_INTEGER }
      const { records } = await this.#settled(store.queryKey(topic, sent.key, limits))
      const bodies = records.map(record =>
        record.toString('latin1', BODY_AT, BODY_AT + record.readInt32BE(BODY_AT - 4)),
      )
      if (bodies.filter(body => body === sent.body).length !== 1) {
        throw new Violation(
          `message ${sent.id} is found ${bodies.filter(body => body === sent.body).length} times by its key ${sent.key} in ${topic}, not once`,
        )
      }
    }
  }

  #restart(): void {
    this.#planted.trace?.('the process ends', { promised: this.#sent.filter(sent => sent.promise !== 'none') })
    this.#counts.crashes++
    this.#counts.operations += this.#disk.operations
    this.#completions = []
    this.#turns = []
    this.#operationsLeft = Number.POSITIVE_INFINITY
    // After a failed sync the kernel no longer knows what is on the disk; Gantry does not go on with this page cache either.
    const power = this.#syncFailed || this.#chance(6, 10)
    this.#syncFailed = false
    if (power) for (const sent of this.#sent) if (sent.promise === 'written') sent.promise = 'none'
    this.#planted.trace?.('it starts again', { power, settings: this.#settings })
    const survival = this.#oneOf(['some', 'some', 'all', 'none'] as const)
    this.#clock = new ManualClock(this.#clock.now() + this.#numbers(100_000))
    this.#disk = this.#disk.restarted(power ? { power, survival } : { power }, this.#diskOptions())
  }

  #diskOptions() {
    return {
      numbers: this.#numbers,
      now: () => this.#clock.now(),
      complete: (completion: () => void) => void this.#completions.push(completion),
      fault: (operation: Operation): DiskFault | undefined => {
        this.#planted.trace?.(this.#isOpening ? 'in the recovery' : 'in use', operation)
        if (this.#planted.pretends?.(operation, this.#isOpening) === true) return 'pretend'
        if (--this.#operationsLeft >= 0) return undefined
        const fault = this.#fault
        this.#operationsLeft = Number.POSITIVE_INFINITY
        if (typeof fault === 'object' && operation.kind === 'datasync') this.#syncFailed = true
        if (typeof fault === 'object' && fault.fails === 'EIO') this.#syncFailed = true
        return fault
      },
    }
  }

  #options(): StoreOptions {
    const schedule = (work: () => void): void => void this.#turns.push(work)
    const say = (details: unknown, text?: string): void => this.#planted.trace?.(text ?? '', Object(details))
    const log = { debug: say, info: say, warn: say, error: say }
    return { ...this.#settings, disk: this.#disk, root: '/store', clock: this.#clock, schedule, log }
  }

  #crashSoon(operations: number): void {
    this.#operationsLeft = this.#numbers(operations)
    this.#fault = this.#oneOf(['crash before', 'crash within', 'crash after'] as const)
  }

  #endTurn(): void {
    const work = this.#turns
    this.#turns = []
    for (const each of work) {
      try {
        each()
      } catch (error) {
        if (!(error instanceof DiskCrash)) throw error
      }
    }
  }

  /** Completes one operation that runs in the background. */
  #complete(): void {
    if (this.#completions.length === 0) return
    const [completion] = this.#completions.splice(this.#numbers(this.#completions.length), 1)
    completion?.()
  }

  /** Waits for a promise while the disk completes what it is asked for. */
  async #settled<T>(promise: Promise<T>): Promise<T> {
    const state = { isSettled: false }
    const settle = (): void => {
      state.isSettled = true
    }
    promise.then(settle, settle)
    for (let steps = 0; !state.isSettled; steps++) {
      if (steps > MAX_STEPS) throw new Violation('the store waits for something that does not come')
      this.#complete()
      if (this.#completions.length === 0) this.#endTurn()
      await setImmediate()
    }
    return promise
  }

  #queue(store: MessageStore): ConsumeQueue {
    return store.queueFor(this.#oneOf(TOPICS), this.#numbers(QUEUES))
  }

  #chance(times: number, of: number): boolean {
    return this.#numbers(of) < times
  }

  #oneOf<T>(values: readonly T[]): T {
    return values[this.#numbers(values.length)] as T
  }
}
