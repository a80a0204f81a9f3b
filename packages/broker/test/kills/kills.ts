// Kills a broker under load at operations of its disk, again and again, with SIGKILL. After each start everything must be there that
// was acknowledged, once and at its offset.
//
// npm run kills:broker -- COUNT
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm } from 'node:fs/promises'
import { availableParallelism, tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import {
  brokerAdminRequests,
  consumeRequests,
  decodeMessages,
  defaultGroupConfig,
  groupRequests,
  pullFlags,
  queryRequests,
  readOffsetMessageId,
  responseCodes,
  sendRequests,
  type StoredMessage,
  topicRequests,
} from '@gantrymq/protocol'
import {
  type CallInput,
  RemotingClient,
  RemotingError,
  type Reply,
  type RequestDeclaration,
  ResponseError,
} from '@gantrymq/remoting'
import { type Numbers, numbersFrom } from '@gantrymq/remoting/testing'
import type { Failpoint, KillMoment } from './failpoint-disk.ts'
import { type ReadQueue, SentMessages } from './sent-messages.ts'

const victim = fileURLToPath(new URL('victim.ts', import.meta.url))
const TOPIC = 'Orders'
const GROUP = 'billing'
const QUEUES = 4
const SENDERS = 8
/** So many messages are sent for each topic that is created and deleted. */
const SENDS_A_TOPIC = 50
/** Bytes of a body, at most. */
const SMALL_BODY = 1500
/** The same where files expire, which must be full before. */
const LARGE_BODY = 3900
/** So many messages are sent for each time that expired files are deleted. */
const SENDS_AN_EXPIRY = 40
/** More than the hours for which a broker keeps files of the log. */
const EXPIRED_MS = 100 * 3_600_000
/** Kills of one folder, before the next begins with an empty one. */
const KILLS_A_FOLDER = 10
/** A broker that has not come to its failpoint after so many sends is killed from outside. */
const SENDS_A_LIFE = 1500
/** The time of a whole life. A broker that hangs is killed then. */
const LIFE_DEADLINE_MS = 60_000
const KEYS_LOOKED_UP = 3

/** The operations at which a broker is killed, and how often each happens in a short life, roughly. */
const operations: Readonly<Record<string, number>> = {
  'write commitlog': 60,
  'sync commitlog': 8,
  'create commitlog': 3,
  'syncFolder commitlog': 3,
  'write consumequeue': 12,
  'sync consumequeue': 12,
  'create consumequeue': 4,
  'makeFolder consumequeue': 4,
  'syncFolder consumequeue': 6,
  'unlink consumequeue': 2,
  'removeFolder consumequeue': 2,
  'write index': 6,
  'sync index': 4,
  'create index': 2,
  'write checkpoint': 3,
  'sync checkpoint': 3,
  'create config': 6,
  'write config': 6,
  'sync config': 6,
  'rename config': 6,
  'syncFolder config': 4,
  'create abort': 1,
}
/** The same for a broker whose files have expired. */
const expiryOperations: Readonly<Record<string, number>> = {
  'unlink commitlog': 4,
  'syncFolder commitlog': 6,
  'unlink consumequeue': 8,
  'unlink index': 1,
  'write checkpoint': 3,
}
const moments: readonly KillMoment[] = ['before', 'within', 'after']
const NEVER: Failpoint = { logWrites: 0, operation: 'none', count: 1, moment: 'before' }
/** Most writes of the log before a failpoint counts. */
const LOG_WRITES = 60

export interface KillReport {
  /** Kills by the operation at which they happened; `load`: from outside, at the end of its load. */
  readonly kills: ReadonlyMap<string, number>
  /** Messages that were acknowledged in all lives. */
  readonly acknowledged: number
}

/**
 * Kills brokers `count` times, in several folders at a time.
 * @throws AssertionError that names the seed of the folder, if something was lost, doubled, moved or invented
 */
export async function killBrokers(count: number, seed: number): Promise<KillReport> {
  const kills = new Map<string, number>()
  let acknowledged = 0
  let begun = 0
  const work = async (): Promise<void> => {
    while (begun < count) {
      const first = begun
      begun += KILLS_A_FOLDER
      acknowledged += await killInFolder(Math.min(KILLS_A_FOLDER, count - first), seed + first, kills)
    }
  }
  await Promise.all(Array.from({ length: availableParallelism() }, work))
  return { kills, acknowledged }
}

async function killInFolder(count: number, seed: number, kills: Map<string, number>): Promise<number> {
  const numbers = numbersFrom(seed)
  const folder = await mkdtemp(join(tmpdir(), 'broker-kills-'))
  const flushMode = numbers(2) === 0 ? 'ASYNC_FLUSH' : 'SYNC_FLUSH'
  const expires = numbers(2) === 0
  const folderOf: Folder = { path: folder, flushMode, expires, sent: new SentMessages() }
  try {
    for (let kill = 1; kill <= count; kill++) {
      const failpoint = chooseFailpoint(numbers, expires && numbers(2) === 0 ? expiryOperations : operations)
      const life = new Life(folderOf, failpoint, numbers)
      const isOwn = await life.run(true)
      const where = isOwn ? failpoint.operation : 'load'
      kills.set(where, (kills.get(where) ?? 0) + 1)
    }
    await new Life(folderOf, NEVER, numbers).run(false)
  } catch (error) {
    throw new Error(`seed ${seed}, ${flushMode}${expires ? ', files expire' : ''}: ${(error as Error).message}`, {
      cause: error,
    })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
  return folderOf.sent.acknowledged
}

function chooseFailpoint(numbers: Numbers, among: Readonly<Record<string, number>>): Failpoint {
  const names = Object.keys(among)
  const operation = names[numbers(names.length)]!
  const count = 1 + numbers(among[operation]!)
  // Every third counts from the start, and so may happen in the recovery.
  const logWrites = numbers(3) === 0 ? 0 : numbers(LOG_WRITES)
  return { logWrites, operation, count, moment: moments[numbers(moments.length)]! }
}

/** The folder of a broker that is killed again and again. */
interface Folder {
  readonly path: string
  readonly flushMode: string
  /** Whether the files of the log have expired as soon as they are full. */
  readonly expires: boolean
  readonly sent: SentMessages
}

/** One start of a broker, until it is killed. */
class Life {
  readonly #child: ChildProcess
  readonly #client = new RemotingClient()
  readonly #sent: SentMessages
  readonly #expires: boolean
  readonly #numbers: Numbers
  readonly #ended: Promise<unknown[]>
  #address = ''
  #sends = 0
  #wasKilledFromOutside = false

  constructor({ path, flushMode, expires, sent }: Folder, failpoint: Failpoint, numbers: Numbers) {
    this.#sent = sent
    this.#expires = expires
    this.#numbers = numbers
    const age = expires ? EXPIRED_MS : 0
    this.#child = spawn(process.execPath, [victim, path, flushMode, String(age), JSON.stringify(failpoint)], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    this.#ended = once(this.#child, 'exit')
  }

  /**
   * Checks what an earlier life has left, and loads the broker until it is gone.
   * @returns Whether the broker came to its failpoint. @throws AssertionError; Error if the broker ended in another way
   */
  async run(withLoad: boolean): Promise<boolean> {
    const timer = setTimeout(() => this.#kill(), LIFE_DEADLINE_MS)
    try {
      await this.#check()
      if (!withLoad) return false
      await this.#createGroup()
      await Promise.all(Array.from({ length: SENDERS }, () => this.#send()))
      return false
    } catch (error) {
      // The client lost its connection, or could not make one: the child is gone, or is going now.
      if (!(error instanceof RemotingError) || !withLoad) throw error
      const [, signal] = await this.#ended
      if (signal !== 'SIGKILL') throw error
      return !this.#wasKilledFromOutside
    } finally {
      clearTimeout(timer)
      this.#kill()
      await this.#client.close()
      await this.#ended
    }
  }

  #kill(): void {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    this.#wasKilledFromOutside = true
    this.#child.kill('SIGKILL')
  }

  #call<const D extends RequestDeclaration>(declaration: D, input?: CallInput<D>): Promise<Reply<D>> {
    return this.#client.call(this.#address, declaration, input, { timeoutMs: LIFE_DEADLINE_MS })
  }

  async #boot(): Promise<void> {
    for await (const line of createInterface(this.#child.stdout!)) {
      this.#address = `127.0.0.1:${line}`
      return
    }
    throw new RemotingError('CONNECT_FAILED', 'the broker ended before it had started')
  }

  async #check(): Promise<void> {
    await this.#boot()
    const { body } = await this.#call(topicRequests.GET_ALL_TOPIC_CONFIG)
    const topics = new Set(body?.topics.keys())
    this.#sent.checkTopics(topics)
    const found = await this.#call(groupRequests.GET_ALL_SUBSCRIPTIONGROUP_CONFIG)
    this.#sent.checkGroups(new Set(found.body?.groups.keys()))
    if (!topics.has(TOPIC)) {
      assert.equal(this.#sent.acknowledged, 0, 'the topic of acknowledged messages is not there')
      return
    }
    const logStart = await this.#logStart()
    const queues: ReadQueue[] = []
    for (let queueId = 0; queueId < QUEUES; queueId++) queues.push(await this.#messagesOf(queueId))
    this.#sent.checkQueues(queues, logStart)
    for (let queueId = 0; queueId < QUEUES; queueId++) this.#sent.checkCommit(queueId, await this.#committed(queueId))
    for (let count = 0; count < KEYS_LOOKED_UP; count++)
      await this.#lookUp(this.#sent.some(this.#numbers(1 << 20), logStart))
  }

  async #logStart(): Promise<number> {
    const { body } = await this.#call(brokerAdminRequests.GET_BROKER_RUNTIME_INFO)
    return Number(body?.get('commitLogMinOffset'))
  }

  async #messagesOf(queueId: number): Promise<ReadQueue> {
    const header = { topic: TOPIC, queueId }
    const { offset: start } = (await this.#call(queryRequests.GET_MIN_OFFSET, { header })).header
    const { offset: end } = (await this.#call(queryRequests.GET_MAX_OFFSET, { header })).header
    const messages: StoredMessage[] = []
    while (start + messages.length < end) {
      const pull = { consumerGroup: 'readers', topic: TOPIC, queueId, queueOffset: start + messages.length, maxMsgNums: 32, sysFlag: pullFlags.subscription, commitOffset: 0, suspendTimeoutMillis: 0, subscription: '*', subVersion: 0 } // biome-ignore format: one thought
      const { body } = await this.#call(consumeRequests.PULL_MESSAGE, { header: pull })
      const found = body === null ? [] : decodeMessages(body)
      assert.ok(found.length > 0, `queue ${queueId} ends at ${end}, and there is nothing at ${start + messages.length}`)
      messages.push(...found)
    }
    return { start, messages }
  }

  /** 0 if nothing was committed: so says Apache while the queue has its first message, and then that there is no offset. */
  async #committed(queueId: number): Promise<number> {
    const header = { consumerGroup: GROUP, topic: TOPIC, queueId }
    try {
      return (await this.#call(consumeRequests.QUERY_CONSUMER_OFFSET, { header })).header.offset
    } catch (error) {
      if (error instanceof ResponseError && error.responseCode === responseCodes.QUERY_NOT_FOUND) return 0
      throw error
    }
  }

  async #lookUp(text: string | undefined): Promise<void> {
    if (text === undefined) return
    const header = { topic: TOPIC, key: keyOf(text), maxNum: 32, beginTimestamp: 0n, endTimestamp: 2n ** 62n }
    const { body } = await this.#call(queryRequests.QUERY_MESSAGE, { header })
    const found = decodeMessages(body!).map(message => message.body.toString())
    assert.deepEqual(found, [text], `what has the key ${keyOf(text)}`)
  }

  async #createGroup(): Promise<void> {
    const body = defaultGroupConfig(GROUP)
    await this.#call(groupRequests.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, { body })
    this.#sent.noteGroup(GROUP)
  }

  async #send(): Promise<never> {
    for (;;) {
      if (this.#numbers(SENDS_A_TOPIC) === 0) await this.#changeTopics()
      if (this.#expires && this.#numbers(SENDS_AN_EXPIRY) === 0) {
        await this.#call(brokerAdminRequests.DELETE_EXPIRED_COMMITLOG)
      }
      const queueId = this.#numbers(QUEUES)
      const text = this.#sent.next(this.#numbers(this.#expires ? LARGE_BODY : SMALL_BODY))
      const header = { producerGroup: 'shop', topic: TOPIC, defaultTopic: 'TBW102', defaultTopicQueueNums: QUEUES, queueId, sysFlag: 0, bornTimestamp: 1, flag: 0, properties: `KEYS\u0001${keyOf(text)}\u0002` } // biome-ignore format: one thought
      const reply = await this.#call(sendRequests.SEND_MESSAGE, { header, body: Buffer.from(text) }) // biome-ignore format: one thought
      const { queueOffset, msgId } = reply.header
      const position = Number(readOffsetMessageId(msgId).physicalOffset)
      this.#sent.noteAcknowledged(text, { queueId, offset: queueOffset, position })
      const commit = { consumerGroup: GROUP, topic: TOPIC, queueId, commitOffset: queueOffset }
      this.#sent.noteCommit(queueId, queueOffset)
      await this.#call(consumeRequests.UPDATE_CONSUMER_OFFSET, { header: commit })
      if (++this.#sends === SENDS_A_LIFE) this.#kill()
    }
  }

  /** Creates a topic with a message, and deletes it. */
  async #changeTopics(): Promise<void> {
    const topic = `Scratch-${this.#numbers(1 << 30)}`
    this.#sent.noteTopic(topic, undefined)
    const created = { topic, readQueueNums: 1, writeQueueNums: 1, perm: 6 }
    await this.#call(topicRequests.UPDATE_AND_CREATE_TOPIC, { header: created })
    this.#sent.noteTopic(topic, true)
    const header = { producerGroup: 'shop', topic, defaultTopic: 'TBW102', defaultTopicQueueNums: 1, queueId: 0, sysFlag: 0, bornTimestamp: 1, flag: 0 } // biome-ignore format: one thought
    await this.#call(sendRequests.SEND_MESSAGE, { header, body: Buffer.from('scratch') })
    this.#sent.noteTopic(topic, undefined)
    await this.#call(topicRequests.DELETE_TOPIC_IN_BROKER, { header: { topic } })
    this.#sent.noteTopic(topic, false)
  }
}

function keyOf(text: string): string {
  return `k${text.slice(0, text.indexOf(' '))}`
}

async function main(): Promise<void> {
  const count = Number(process.argv[2] ?? 200)
  const begin = performance.now()
  const { kills, acknowledged } = await killBrokers(count, Number(process.argv[3] ?? Date.now() % 1_000_000))
  const seconds = Math.round((performance.now() - begin) / 1000)
  for (const [operation, times] of kills) console.log(`${String(times).padStart(4)}  ${operation}`)
  const total = [...kills.values()].reduce((sum, each) => sum + each, 0)
  console.log(
    `${total} kills in ${seconds} s, ${acknowledged} acknowledged messages: none lost, doubled, moved or invented`,
  )
}

if (import.meta.main) await main()
