import { consumeRequests, pullFlags } from '@gantrymq/protocol'
import {
  type FastConnection,
  type HeaderView,
  NOT_TAKEN,
  ONEWAY_FLAG,
  ReplyTemplate,
  type SerializeType,
  SUCCESS,
} from '@gantrymq/remoting'
import { Found } from '@gantrymq/store'
import type { BrokerContext } from '../context.ts'
import { checkPull, type PullAllowed } from '../pulling/pull-checks.ts'
import { type PullHeader, suggestedBroker } from '../pulling/pull-reply.ts'
import { HeaderFields, UNREADABLE } from './header-fields.ts'
import type { KnownNames } from './known-names.ts'

export const PULL_MESSAGE = consumeRequests.PULL_MESSAGE.code

// The fields of a pull, by their index in `names`.
const CONSUMER_GROUP = 0
const TOPIC = 1
const QUEUE_ID = 2
const QUEUE_OFFSET = 3
const MAX_MESSAGES = 4
const SYS_FLAG = 5
const COMMIT_OFFSET = 6
const SUSPEND_TIMEOUT = 7
const SUBSCRIPTION = 8
const SUB_VERSION = 9
const EXPRESSION_TYPE = 10
const MAX_BYTES = 11

const names = [
  'consumerGroup',
  'topic',
  'queueId',
  'queueOffset',
  'maxMsgNums',
  'sysFlag',
  'commitOffset',
  'suspendTimeoutMillis',
  'subscription',
  'subVersion',
  'expressionType',
  'maxMsgBytes',
] as const

/** The answer with messages: see `pullReply`. */
const reply = new ReplyTemplate({
  remark: 'FOUND',
  values: {
    suggestWhichBrokerId: '',
    nextBeginOffset: '',
    minOffset: '',
    maxOffset: '',
    topicSysFlag: '',
    groupSysFlag: '',
  },
})
const REPLY_NUMBERS = 4 * 17 + 2 * 11

/**
 * The fast way of PULL_MESSAGE: answers a pull whose messages are in memory from the bytes of its frame. The records are copied from
 * the memory of the log into the outbox, and never decoded.
 *
 * Everything else takes the long way, `handlers/pull.ts`, with nothing changed before: a pull that finds nothing and is held, one
 * that is refused, messages that must be read from the disk, an offset that moved. Both ways use the same checks and the same
 * reader, and `pull-path.test.ts` plays every request through both.
 */
export class PullPath {
  readonly #context: BrokerContext
  readonly #names: KnownNames
  readonly #fields = new HeaderFields(names)
  readonly #found = new Found()

  constructor(context: BrokerContext, known: KnownNames) {
    this.#context = context
    this.#names = known
  }

  take(view: HeaderView, connection: FastConnection): number {
    if (view.flag === ONEWAY_FLAG) return NOT_TAKEN
    this.#fields.read(view)
    const header = this.#readHeader(view)
    const allowed = header === undefined ? undefined : this.#check(header, connection)
    if (header === undefined || allowed === undefined || !this.#find(header, allowed)) return NOT_TAKEN
    const { offsets, counts } = this.#context
    const { topic, consumerGroup, queueId, sysFlag, commitOffset } = header
    if ((sysFlag & pullFlags.commitOffset) !== 0) offsets.commit(topic, consumerGroup, queueId, commitOffset)
    counts.delivered(topic, consumerGroup, this.#found.count, this.#found.bytes)
    this.#answer(view.serializeType, view.opaque, allowed, connection)
    return SUCCESS
  }

  /** Undefined if only the router can read the header. */
  #readHeader(view: HeaderView): PullHeader | undefined {
    const fields = this.#fields
    const consumerGroup = this.#text(view, CONSUMER_GROUP)
    const topic = this.#text(view, TOPIC)
    const queueId = fields.int(QUEUE_ID)
    const queueOffset = fields.long(QUEUE_OFFSET)
    const maxMsgNums = fields.int(MAX_MESSAGES)
    const sysFlag = fields.int(SYS_FLAG)
    const commitOffset = fields.long(COMMIT_OFFSET)
    const suspendTimeoutMillis = fields.long(SUSPEND_TIMEOUT)
    const subVersion = fields.long(SUB_VERSION)
    const maxMsgBytes = fields.has(MAX_BYTES) ? fields.int(MAX_BYTES) : Number.MAX_SAFE_INTEGER
    const least = Math.min(queueId, queueOffset, maxMsgNums, sysFlag, commitOffset, suspendTimeoutMillis, subVersion)
    if (consumerGroup === undefined || topic === undefined || Math.min(least, maxMsgBytes) === UNREADABLE)
      return undefined
    const subscription = this.#optionalText(view, SUBSCRIPTION)
    const expressionType = this.#optionalText(view, EXPRESSION_TYPE)
    if (subscription === undefined || expressionType === undefined) return undefined
    return {
      consumerGroup,
      topic,
      queueId,
      queueOffset,
      maxMsgNums,
      sysFlag,
      commitOffset,
      suspendTimeoutMillis,
      subVersion,
      maxMsgBytes,
      subscription,
      expressionType,
    }
  }

  #text(view: HeaderView, name: number): string | undefined {
    const fields = this.#fields
    return fields.isPlain(name) ? this.#names.find(view.bytes, fields.start(name), fields.end(name)) : undefined
  }

  /** The empty text if it is absent; undefined if only the router can read it. */
  #optionalText(view: HeaderView, name: number): string | undefined {
    return this.#fields.has(name) ? this.#text(view, name) : ''
  }

  /** Undefined if the pull is refused, or if checking it may change something. */
  #check(header: PullHeader, connection: FastConnection): PullAllowed | undefined {
    const { settings, groups, topics, clients, offsets, host } = this.#context
    const { consumerGroup, topic, queueId } = header
    const { brokerPermission, rejectPullConsumerEnable, useServerSideResetOffset } = settings.options
    if (rejectPullConsumerEnable) return undefined
    if (useServerSideResetOffset && offsets.isReset(topic, consumerGroup, queueId)) return undefined
    const allowed = checkPull(header, {
      brokerPermission,
      brokerIp: host(),
      // A group that does not exist yet may be created by the long way.
      group: groups.get(consumerGroup),
      topic: topics.get(topic),
      consumers: clients.consumerGroup(consumerGroup),
      isForbidden: groups.isForbidden(consumerGroup, topic),
      consumer: connection.remoteAddress,
    })
    return 'remark' in allowed ? undefined : allowed
  }

  /** Looks for messages in memory. */
  #find({ topic, queueId, queueOffset, maxMsgNums, maxMsgBytes = 0 }: PullHeader, { accepts }: PullAllowed): boolean {
    const { store } = this.#context
    const queue = store.queue(topic, queueId)
    if (queue === undefined) return false
    const query = {
      queue,
      offset: queueOffset,
      maxMessages: maxMsgNums,
      maxBytes: maxMsgBytes,
      accepts,
      mayLoad: false,
    }
    return store.read(query, this.#found) === 'FOUND'
  }

  #answer(
    serializeType: SerializeType,
    opaque: number,
    { group, topic }: PullAllowed,
    { outbox }: FastConnection,
  ): void {
    const { slaveReadEnable } = this.#context.settings.options
    const found = this.#found
    outbox.reserve(reply.room + REPLY_NUMBERS + found.bytes)
    reply.begin(outbox.bytes, outbox.position, serializeType, opaque)
    reply.number(suggestedBroker(found.suggestSlave, { group, slaveReadEnable }))
    reply.number(found.nextOffset)
    reply.number(found.minOffset)
    reply.number(found.maxOffset)
    reply.number(topic.topicSysFlag)
    reply.number(group.groupSysFlag ?? 0)
    outbox.position = found.copyTo(outbox.bytes, reply.end(found.bytes))
  }
}
