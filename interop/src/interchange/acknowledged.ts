import assert from 'node:assert/strict'
import { readFile } from 'node:fs/promises'
import { join } from 'node:path'
import {
  consumeRequests,
  decodeMessages,
  defaultGroupConfig,
  groupRequests,
  pullFlags,
  queryRequests,
  readOffsetMessageId,
  sendRequests,
  topicRequests,
  writeMessageProperties,
} from '@gantrymq/protocol'
import type { RemotingClient } from '@gantrymq/remoting'
import { nextNumber } from '../unique.ts'
import { parseFastjson } from '../wire/raw-frame.ts'

const QUEUES = 4
/** Enough for several files of the log, of each queue and of the index in each session: see `FILE_SIZES`. */
const MESSAGES = 160
const BODY_BYTES = 900
const KEYS_IN_COMMON = 10

/** File sizes for both brokers, so small that a session writes several files of each kind. */
export const FILE_SIZES = {
  mappedFileSizeCommitLog: 64 * 1024,
  mappedFileSizeConsumeQueue: 20 * 30,
  maxHashSlotNum: 100,
  maxIndexNum: 200,
}

const TOPIC = 'exchanged'
const DELAYED_TOPIC = 'delayed'
const GROUP = 'readers'
/** 5 s: the broker that stored the message has mostly ended by then. */
const DELAY_LEVEL = '2'
const PULL_AT_ONCE = 32
const JAVA_LONG_MAX = 2n ** 63n - 1n

/** A message that a broker has acknowledged. */
interface Acknowledgement {
  readonly queueId: number
  readonly queueOffset: number
  readonly physicalOffset: number
  readonly body: string
  readonly tags: string
  readonly keys: string
  readonly uniqueId: string
}

/** A broker to ask. */
export interface BrokerPeer {
  readonly client: RemotingClient
  readonly address: string
}

function messagesIn(body: Buffer | null): Acknowledgement[] {
  return decodeMessages(body ?? Buffer.alloc(0)).map(({ queueId, queueOffset, physicalOffset, body, properties }) => ({
    queueId,
    queueOffset: Number(queueOffset),
    physicalOffset: Number(physicalOffset),
    body: body.toString(),
    tags: properties.get('TAGS') ?? '',
    keys: properties.get('KEYS') ?? '',
    uniqueId: properties.get('UNIQ_KEY') ?? '',
  }))
}

/** How often brokers are killed over one directory. */
const CRASHES = 2

/** What the brokers of one folder have acknowledged. Every later broker of the folder must serve all of it. */
export class Acknowledged {
  readonly #messages: Acknowledgement[] = []
  readonly #topics = new Map<string, number>()
  readonly #groups: string[] = []
  readonly #delayed: string[] = []
  /** Positions of messages that were found twice by a key. */
  readonly #indexedTwice = new Set<number>()
  #offsets: ReadonlyMap<number, number> = new Map()

  get isEmpty(): boolean {
    return this.#messages.length === 0
  }

  /** Checks that a folder's file has the committed offsets. @throws AssertionError if it does not */
  async checkOffsetFile(store: string): Promise<void> {
    assert.deepEqual(await offsetsInFile(store), this.#offsets)
  }

  /** Brokers write that file every few seconds: after kill -9, the offsets in the file are those that must be served. */
  async forgetUnwrittenOffsets(store: string): Promise<void> {
    const written = await offsetsInFile(store)
    for (const [queueId, offset] of written) assert.ok(offset <= (this.#offsets.get(queueId) ?? 0))
    assert.equal(written.size, QUEUES)
    this.#offsets = written
  }

  /** Lets a broker store topics, groups, messages and offsets. */
  async write(peer: BrokerPeer, session: string): Promise<void> {
    await this.#createTopic(peer, TOPIC, QUEUES)
    await this.#createTopic(peer, DELAYED_TOPIC, 1)
    await this.#createTopic(peer, `topic-of-${session}`, 1 + this.#topics.size)
    await this.#createGroup(peer, GROUP)
    await this.#createGroup(peer, `group-of-${session}`)
    for (let number = 0; number < MESSAGES; number++) await this.#send(peer, session, number)
    await this.#sendDelayed(peer, session)
    await this.#commitOffsets(peer)
  }

  async #createTopic({ client, address }: BrokerPeer, topic: string, queues: number): Promise<void> {
    const header = {
      topic,
      readQueueNums: queues,
      writeQueueNums: queues,
      perm: 6,
      topicFilterType: 'SINGLE_TAG',
      order: false,
    }
    await client.call(address, topicRequests.UPDATE_AND_CREATE_TOPIC, { header })
    this.#topics.set(topic, queues)
  }

  async #createGroup({ client, address }: BrokerPeer, group: string): Promise<void> {
    const body = defaultGroupConfig(group)
    await client.call(address, groupRequests.UPDATE_AND_CREATE_SUBSCRIPTIONGROUP, { body })
    this.#groups.push(group)
  }

  async #send(peer: BrokerPeer, session: string, number: number): Promise<void> {
    const queueId = number % QUEUES
    const body = `${session} ${number} `.padEnd(BODY_BYTES, 'abcdefghij')
    const tags = `tag-${number % 3}`
    const keys = `${session}-${number} ${session}-common-${Math.floor(number / KEYS_IN_COMMON)}`
    const uniqueId = nextNumber().toString(16).padStart(32, '0')
    const properties = { TAGS: tags, KEYS: keys, UNIQ_KEY: uniqueId }
    const { msgId, queueOffset } = await this.#store(peer, TOPIC, queueId, body, properties)
    const physicalOffset = Number(readOffsetMessageId(msgId).physicalOffset)
    this.#messages.push({ queueId, queueOffset, physicalOffset, body, tags, keys, uniqueId })
  }

  async #sendDelayed(peer: BrokerPeer, session: string): Promise<void> {
    const body = `delayed by ${session}`
    await this.#store(peer, DELAYED_TOPIC, 0, body, { DELAY: DELAY_LEVEL })
    this.#delayed.push(body)
  }

  async #store(
    { client, address }: BrokerPeer,
    topic: string,
    queueId: number,
    body: string,
    properties: Record<string, string>,
  ): Promise<{ readonly msgId: string; readonly queueOffset: number }> {
    const header = {
      producerGroup: 'writers',
      topic,
      defaultTopic: 'TBW102',
      defaultTopicQueueNums: QUEUES,
      queueId,
      sysFlag: 0,
      bornTimestamp: Date.now(),
      flag: 0,
      properties: writeMessageProperties(new Map(Object.entries(properties))),
    }
    const reply = await client.call(address, sendRequests.SEND_MESSAGE, { header, body: Buffer.from(body) })
    assert.equal(reply.code, 0)
    return reply.header
  }

  async #commitOffsets({ client, address }: BrokerPeer): Promise<void> {
    const offsets = new Map<number, number>()
    for (let queueId = 0; queueId < QUEUES; queueId++) {
      const commitOffset = this.#inQueue(queueId).length - queueId
      const header = { consumerGroup: GROUP, topic: TOPIC, queueId, commitOffset }
      await client.call(address, consumeRequests.UPDATE_CONSUMER_OFFSET, { header })
      offsets.set(queueId, commitOffset)
    }
    this.#offsets = offsets
  }

  #inQueue(queueId: number): Acknowledgement[] {
    return this.#messages.filter(message => message.queueId === queueId)
  }

  /** Asks a broker for everything. @throws AssertionError if an answer is not what was acknowledged */
  async check(peer: BrokerPeer): Promise<void> {
    await this.#checkTopics(peer)
    await this.#checkGroups(peer)
    for (let queueId = 0; queueId < QUEUES; queueId++) await this.#checkQueue(peer, queueId)
    for (const message of this.#messages) await this.#checkQueries(peer, message)
    await this.#checkCommonKeys(peer)
    for (const [queueId, offset] of this.#offsets) await this.#checkOffset(peer, queueId, offset)
  }

  async #checkTopics({ client, address }: BrokerPeer): Promise<void> {
    const { body } = await client.call(address, topicRequests.GET_ALL_TOPIC_CONFIG)
    const topics = body?.topics
    for (const [topic, queues] of this.#topics) {
      const served = topics?.get(topic)
      assert.deepEqual([served?.readQueueNums, served?.writeQueueNums, served?.perm], [queues, queues, 6], topic)
    }
  }

  async #checkGroups({ client, address }: BrokerPeer): Promise<void> {
    const { body } = await client.call(address, groupRequests.GET_ALL_SUBSCRIPTIONGROUP_CONFIG)
    for (const group of this.#groups) assert.ok(body?.groups.has(group), `the group ${group} is missing`)
  }

  async #checkQueue(peer: BrokerPeer, queueId: number): Promise<void> {
    const written = this.#inQueue(queueId)
    const header = { topic: TOPIC, queueId }
    const min = await peer.client.call(peer.address, queryRequests.GET_MIN_OFFSET, { header })
    const max = await peer.client.call(peer.address, queryRequests.GET_MAX_OFFSET, { header })
    assert.deepEqual([min.header.offset, max.header.offset], [0, written.length], `the offsets of queue ${queueId}`)
    assert.deepEqual(await pullAll(peer, TOPIC, queueId, '*'), written)
    const tagged = written.filter(({ tags }) => tags === 'tag-1')
    assert.deepEqual(await pullAll(peer, TOPIC, queueId, 'tag-1'), tagged)
  }

  async #checkQueries(peer: BrokerPeer, message: Acknowledgement): Promise<void> {
    const { keys, uniqueId, physicalOffset } = message
    const [key = ''] = keys.split(' ')
    assert.deepEqual(await this.#withKey(peer, key, false), [message], `the messages with the key ${key}`)
    assert.deepEqual(
      await this.#withKey(peer, uniqueId, true),
      [message],
      `the messages with the unique key ${uniqueId}`,
    )
    const input = { header: { topic: TOPIC, offset: physicalOffset } }
    const { body } = await peer.client.call(peer.address, queryRequests.VIEW_MESSAGE_BY_ID, input)
    assert.deepEqual(messagesIn(body), [message])
  }

  /**
   * The messages with a key, each once. After a crash Apache's IndexService.buildIndex indexes the last record of the index again,
   * because it skips only what begins before that record: so one message for each crash may be found twice by its keys.
   */
  async #withKey(peer: BrokerPeer, key: string, isUnique: boolean): Promise<Acknowledgement[]> {
    const found = await withKey(peer, key, isUnique)
    const byPosition = new Map(found.map(message => [message.physicalOffset, message]))
    if (byPosition.size < found.length) {
      const repeated = found.filter((message, index) => found.findIndex(each => each.physicalOffset === message.physicalOffset) < index) // biome-ignore format: one thought
      for (const { physicalOffset } of repeated) this.#indexedTwice.add(physicalOffset)
      assert.ok(
        this.#indexedTwice.size <= CRASHES,
        `messages at ${[...this.#indexedTwice].join(', ')} are indexed twice`,
      )
    }
    return [...byPosition.values()]
  }

  async #checkCommonKeys(peer: BrokerPeer): Promise<void> {
    const common = Map.groupBy(this.#messages, ({ keys }) => keys.split(' ')[1] ?? '')
    for (const [key, messages] of common) {
      const found = await this.#withKey(peer, key, false)
      found.sort((one, other) => one.physicalOffset - other.physicalOffset)
      assert.deepEqual(found, messages, `the messages with the key ${key}`)
    }
  }

  async #checkOffset({ client, address }: BrokerPeer, queueId: number, offset: number): Promise<void> {
    const header = { consumerGroup: GROUP, topic: TOPIC, queueId }
    const reply = await client.call(address, consumeRequests.QUERY_CONSUMER_OFFSET, { header })
    assert.equal(reply.header.offset, offset, `the offset of the group in queue ${queueId}`)
  }

  /** A crash may deliver a delayed message twice. @throws AssertionError as long as one of them is missing */
  async checkDelayed(peer: BrokerPeer): Promise<void> {
    const delivered = new Set((await pullAll(peer, DELAYED_TOPIC, 0, '*')).map(({ body }) => body))
    assert.deepEqual([...delivered].toSorted(), this.#delayed.toSorted())
  }
}

/** Reads consumerOffset.json without our codec. */
async function offsetsInFile(store: string): Promise<Map<number, number>> {
  const text = await readFile(join(store, 'config', 'consumerOffset.json'), 'utf8')
  const { offsetTable } = parseFastjson(text) as { readonly offsetTable: Record<string, Record<string, number>> }
  const offsets = Object.entries(offsetTable[`${TOPIC}@${GROUP}`] ?? {})
  return new Map(offsets.map(([queueId, offset]) => [Number(queueId), offset]))
}

/** Reads what is in a queue, from its first message on. */
async function pullAll(peer: BrokerPeer, topic: string, queueId: number, tags: string): Promise<Acknowledgement[]> {
  const messages: Acknowledgement[] = []
  for (let offset = 0; ; ) {
    const header = {
      consumerGroup: GROUP,
      topic,
      queueId,
      queueOffset: offset,
      maxMsgNums: PULL_AT_ONCE,
      sysFlag: pullFlags.subscription,
      commitOffset: 0,
      suspendTimeoutMillis: 0,
      subscription: tags,
      subVersion: 0,
      expressionType: 'TAG',
    }
    const reply = await peer.client.call(peer.address, consumeRequests.PULL_MESSAGE, { header })
    messages.push(...messagesIn(reply.body))
    const { nextBeginOffset, maxOffset } = reply.header
    if (nextBeginOffset >= maxOffset) return messages
    assert.ok(nextBeginOffset > offset, `a pull of queue ${queueId} at ${offset} does not advance`)
    offset = nextBeginOffset
  }
}

async function withKey({ client, address }: BrokerPeer, key: string, isUnique: boolean): Promise<Acknowledgement[]> {
  const header = {
    topic: TOPIC,
    key,
    maxNum: PULL_AT_ONCE,
    beginTimestamp: 0,
    endTimestamp: JAVA_LONG_MAX,
    _UNIQUE_KEY_QUERY: isUnique,
  }
  const { body } = await client.call(address, queryRequests.QUERY_MESSAGE, { header })
  return messagesIn(body)
}
