import {
  hostBytes,
  INNER_BATCH,
  isClosedTopic,
  isRetryTopic,
  isWriteable,
  MAX_TOPIC_LENGTH,
  MULTI_TAGS,
  NEED_UNWRAP,
  PROPERTY,
  sendRequests,
  transactionPart,
} from '@gantrymq/protocol'
import {
  copyValue,
  type FastConnection,
  type HeaderView,
  LATER,
  NOT_TAKEN,
  ONEWAY_FLAG,
  ReplyTemplate,
} from '@gantrymq/remoting'
import { APPENDED, type NewRecord } from '@gantrymq/store'
import type { BrokerContext } from '../context.ts'
import type { BrokerOptions } from '../options.ts'
import { HeaderFields, UNREADABLE } from './header-fields.ts'
import type { KnownNames } from './known-names.ts'
import { PlainProperties } from './plain-properties.ts'
import { UnansweredSends } from './unanswered-sends.ts'

export const SEND_MESSAGE = sendRequests.SEND_MESSAGE.code
export const SEND_MESSAGE_V2 = sendRequests.SEND_MESSAGE_V2.code

// The fields of a send, by their index in both tables of names.
const PRODUCER_GROUP = 0
const TOPIC = 1
const DEFAULT_TOPIC = 2
const DEFAULT_QUEUES = 3
const QUEUE_ID = 4
const SYS_FLAG = 5
const BORN_TIMESTAMP = 6
const FLAG = 7
const PROPERTIES = 8
const RECONSUME_TIMES = 9
const BATCH = 10

const longNames = [
  'producerGroup',
  'topic',
  'defaultTopic',
  'defaultTopicQueueNums',
  'queueId',
  'sysFlag',
  'bornTimestamp',
  'flag',
  'properties',
  'reconsumeTimes',
  'batch',
] as const
const shortNames = ['a', 'b', 'c', 'd', 'e', 'f', 'g', 'h', 'i', 'j', 'm'] as const

const FALSE = Buffer.from('false')
/** Text of properties that the fast path takes, bytes; the largest that a record can hold has 32,767. */
const MOST_PROPERTIES = 64 * 1024
/** Room for text at first; it grows with the longest text. */
const FIRST_ROOM = 1024
const NO_BYTES = Buffer.alloc(0)
/** What a reply takes besides the template and the unique id: the position, the queue id, the queue offset. */
const REPLY_NUMBERS = 16 + 10 + 17

/** What replies and records contain of the broker itself. */
interface OwnParts {
  readonly reply: ReplyTemplate
  /** The properties that the broker adds, see `messageOf`. */
  readonly properties: Buffer
  readonly storeHost: Buffer
}

/**
 * The fast way of SEND_MESSAGE and SEND_MESSAGE_V2: from the bytes of a frame to a record in the memory of the log, without a
 * command, a map, a string or a promise per message.
 *
 * It takes only what is sure to be stored as it is: a plain message for a topic that exists. Everything else (delays, transactions,
 * retries, batches, new topics, a busy store, whatever is refused) takes the long way, `handlers/send.ts`, with nothing changed
 * before. Both ways end in `MessageStore.append`, and `send-path.test.ts` plays every request through both.
 */
export class SendPath {
  readonly unanswered: UnansweredSends
  readonly #context: BrokerContext
  readonly #names: KnownNames
  readonly #long = new HeaderFields(longNames)
  readonly #short = new HeaderFields(shortNames)
  readonly #properties = new PlainProperties()
  /** The properties of the current message, and those that the broker adds. */
  #text = Buffer.allocUnsafeSlow(FIRST_ROOM)
  readonly #record: NewRecord
  #options: BrokerOptions
  #own: OwnParts
  #ownHost: object
  #isSync: boolean

  constructor(context: BrokerContext, names: KnownNames) {
    this.#context = context
    this.#names = names
    this.#options = context.settings.options
    this.#ownHost = context.storeHost()
    this.#own = ownParts(context)
    this.#isSync = timeoutOf(this.#options) !== undefined
    this.unanswered = new UnansweredSends({
      safe: () => context.store.safe,
      counts: context.counts,
      timeoutMs: () => timeoutOf(context.settings.options),
    })
    this.#record = {
      queue: undefined as never,
      flag: 0,
      sysFlag: 0,
      bornTimestamp: 0,
      bornHost: NO_BYTES,
      storeHost: NO_BYTES,
      reconsumeTimes: 0,
      preparedTransactionOffset: 0,
      body: NO_BYTES,
      bodyStart: 0,
      bodyEnd: 0,
      properties: this.#text,
      propertiesStart: 0,
      propertiesEnd: 0,
    }
  }

  take(view: HeaderView, connection: FastConnection): number {
    const fields = view.code === SEND_MESSAGE ? this.#long : this.#short
    fields.read(view)
    if (!this.#readMessage(view, fields)) return NOT_TAKEN
    const record = this.#record
    const { store, writer } = this.#context
    record.bornHost = writer.bornHostOf(connection)
    // A store that refuses the message has changed nothing. The long way asks it again, and says why.
    if (store.append(record) !== APPENDED) return NOT_TAKEN
    this.#answerLater(view, connection)
    return LATER
  }

  /** Fills the record; false if the message takes the long way. */
  #readMessage(view: HeaderView, fields: HeaderFields): boolean {
    const { waitingSends, topics, store, settings, storeHost, clock } = this.#context
    if (settings.options !== this.#options || storeHost() !== this.#ownHost) this.#renew()
    const { brokerPermission, startAcceptSendRequestTimeStamp } = this.#options
    if (view.bodyEnd === view.bodyStart || waitingSends.size > 0 || topics.saved() !== undefined) return false
    if (startAcceptSendRequestTimeStamp > 0 && clock.now() < startAcceptSendRequestTimeStamp) return false
    if (!fields.has(PRODUCER_GROUP) || !fields.has(DEFAULT_TOPIC) || fields.int(DEFAULT_QUEUES) === UNREADABLE)
      return false
    if (!fields.isPlain(TOPIC) || !isNoBatch(view, fields)) return false

    const name = this.#names.find(view.bytes, fields.start(TOPIC), fields.end(TOPIC))
    const topic = name === undefined ? undefined : topics.get(name)
    if (name === undefined || topic === undefined || isRetryTopic(name) || isClosedTopic(name)) return false
    if (!isWriteable(brokerPermission) && topic.order) return false
    const queueId = fields.int(QUEUE_ID)
    if (!(queueId >= 0 && queueId < Math.max(topic.writeQueueNums, topic.readQueueNums))) return false
    const queue = store.queue(name, queueId)
    if (queue === undefined || name.length > MAX_TOPIC_LENGTH) return false

    const record = this.#record
    const sysFlag = fields.int(SYS_FLAG)
    record.queue = queue
    record.flag = fields.int(FLAG)
    record.bornTimestamp = fields.long(BORN_TIMESTAMP)
    record.reconsumeTimes = fields.intOrZero(RECONSUME_TIMES)
    const isReadable =
      record.flag > UNREADABLE && record.bornTimestamp > UNREADABLE && record.reconsumeTimes > UNREADABLE
    if (!isReadable || !(sysFlag > UNREADABLE)) return false
    if (transactionPart(sysFlag) !== 0 || (sysFlag & (INNER_BATCH | NEED_UNWRAP)) !== 0) return false
    record.sysFlag = topic.topicFilterType === 'MULTI_TAG' ? sysFlag | MULTI_TAGS : sysFlag
    record.body = view.bytes
    record.bodyStart = view.bodyStart
    record.bodyEnd = view.bodyEnd
    return this.#readProperties(view, fields)
  }

  #readProperties(view: HeaderView, fields: HeaderFields): boolean {
    const field = fields.at(PROPERTIES)
    const { properties, storeHost } = this.#own
    const bytes = fields.end(PROPERTIES) - fields.start(PROPERTIES)
    if (field < 0 || bytes > MOST_PROPERTIES) return false
    // The last separator may be missing.
    const room = bytes + 1 + properties.length
    if (room > this.#text.length) this.#growText(room)
    const text = this.#text
    const textEnd = copyValue(view, field, text, 0)
    const end = textEnd < 0 ? -1 : this.#properties.check(text, 0, textEnd)
    if (end < 0) return false
    text.set(properties, end)
    this.#record.propertiesEnd = end + properties.length
    this.#record.storeHost = storeHost
    return true
  }

  #growText(room: number): void {
    this.#text = Buffer.allocUnsafeSlow(room * 2)
    this.#record.properties = this.#text
  }

  /** Writes the reply, and keeps it until the message is safe. */
  #answerLater(view: HeaderView, connection: FastConnection): void {
    const { unanswered } = this
    const { store, clock } = this.#context
    const { queue } = this.#record
    const { position, size, queueOffset, end } = store.appended
    const { uniqueStart, uniqueEnd } = this.#properties
    let replyEnd = unanswered.repliesEnd
    if (view.flag !== ONEWAY_FLAG) {
      const { reply } = this.#own
      unanswered.reserve(reply.room + REPLY_NUMBERS + uniqueEnd - uniqueStart)
      reply.begin(unanswered.replies, unanswered.repliesEnd, view.serializeType, view.opaque)
      reply.hex(position)
      reply.number(queue.id)
      reply.number(queueOffset)
      reply.text(this.#text, uniqueStart, uniqueEnd)
      replyEnd = reply.end(0)
    }
    const { code: requestCode, opaque } = view
    const since = this.#isSync ? clock.elapsed() : 0
    unanswered.add({ connection, requestCode, opaque, end, size, topic: queue.topic, since }, replyEnd)
  }

  #renew(): void {
    this.#options = this.#context.settings.options
    this.#ownHost = this.#context.storeHost()
    this.#own = ownParts(this.#context)
    this.#isSync = timeoutOf(this.#options) !== undefined
  }
}

function isNoBatch(view: HeaderView, fields: HeaderFields): boolean {
  if (!fields.has(BATCH)) return true
  if (!fields.isPlain(BATCH)) return false
  const start = fields.start(BATCH)
  if (fields.end(BATCH) - start !== FALSE.length) return false
  for (let i = 0; i < FALSE.length; i++) if (view.bytes[start + i] !== FALSE[i]) return false
  return true
}

function ownParts(context: BrokerContext): OwnParts {
  const { brokerClusterName, regionId, traceOn } = context.settings.options
  const host = context.storeHost()
  const constants = { [PROPERTY.MSG_REGION]: regionId, [PROPERTY.TRACE_ON]: String(traceOn) }
  const storeHost = hostBytes(host)
  const values = { msgId: storeHost.toString('hex').toUpperCase(), queueId: '', queueOffset: '', transactionId: '' }
  const added = { [PROPERTY.CLUSTER]: brokerClusterName, ...constants }
  const text = Object.entries(added).map(([name, value]) => `${name}\u0001${value}\u0002`)
  return { storeHost, properties: Buffer.from(text.join('')), reply: new ReplyTemplate({ values, constants }) }
}

/** How long a send waits for the flush; undefined if it does not wait for it. */
function timeoutOf({ flushDiskType, syncFlushTimeout }: BrokerOptions): number | undefined {
  return flushDiskType === 'SYNC_FLUSH' ? syncFlushTimeout : undefined
}
