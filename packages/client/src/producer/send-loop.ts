import { sendRequests } from '@gantrymq/protocol'
import type { Reply } from '@gantrymq/remoting'
import type { ClientInstance } from '../client-instance.ts'
import { type Deadline, timedOut } from '../deadline.ts'
import { ClientError, javaCodes, toClientError } from '../errors.ts'
import type { MessageQueue, SendReceipt, SendStatus } from '../message.ts'
import type { KnownTopic } from '../route-book.ts'
import type { FaultLatency } from './fault-latency.ts'
import type { PreparedMessage } from './outgoing.ts'
import type { ProducerSettings } from './producer-options.ts'
import type { QueuePicker } from './queue-picker.ts'

type SendRequest =
  | typeof sendRequests.SEND_MESSAGE_V2
  | typeof sendRequests.SEND_BATCH_MESSAGE
  | typeof sendRequests.SEND_REPLY_MESSAGE_V2

/** What sends have in common: one a producer. */
export interface Sender {
  readonly instance: ClientInstance
  readonly group: string
  readonly settings: ProducerSettings
  readonly picker: QueuePicker
  /** Undefined where brokers do not rest. */
  readonly faults: FaultLatency | undefined
}

/** Which request carries a message, and what differs in its header. */
export interface SendForm {
  readonly request: SendRequest
  readonly batch: boolean
  /** Of messages to a retry topic. */
  readonly reconsumeTimes: number
  readonly maxReconsumeTimes?: number
}

export const singleForm: SendForm = { request: sendRequests.SEND_MESSAGE_V2, batch: false, reconsumeTimes: 0 }
export const batchForm: SendForm = { request: sendRequests.SEND_BATCH_MESSAGE, batch: true, reconsumeTimes: 0 }
export const replyForm: SendForm = { request: sendRequests.SEND_REPLY_MESSAGE_V2, batch: false, reconsumeTimes: 0 }

interface Attempt {
  readonly queue: MessageQueue | undefined
  readonly error: ClientError
}

/**
 * Sends to a queue of the topic, and after a failure to another, on another broker if there is one, within the deadline
 * (spec client 3.7).
 * @throws ClientError SEND_FAILED listing the attempts, or the one failure that another attempt cannot mend
 */
export async function sendWithRetries(
  sender: Sender,
  message: PreparedMessage,
  known: KnownTopic,
  form: SendForm,
  deadline: Deadline,
): Promise<SendReceipt> {
  const { settings, picker, faults, instance } = sender
  const failures: Attempt[] = []
  let unsure: SendReceipt | undefined
  for (let left = settings.retries; left >= 0; left--) {
    const lastBroker = failures.at(-1)?.queue?.brokerName
    const queue = picker.next(known.publish, { lastBroker, faults, now: instance.clock.now() })
    if (queue === undefined) break
    try {
      const receipt = await attempt(sender, message, queue, form, deadline, left > 0)
      if (receipt.status === 'SEND_OK' || !settings.retryNotStored) return receipt
      unsure = receipt
    } catch (error) {
      const failure = { queue, error: toClientError(error) }
      failures.push(failure)
      if (!mayRetry(failure.error, settings)) break
      instance.routes.suspect(message.topic)
    }
    if (deadline.hasPassed || deadline.signal?.aborted) break
  }
  if (unsure !== undefined) return unsure
  throw sendFailed(message.topic, failures, deadline)
}

/** Sends to one queue, once. @throws ClientError */
export async function sendOnce(
  sender: Sender,
  message: PreparedMessage,
  queue: MessageQueue,
  form: SendForm,
  deadline: Deadline,
): Promise<SendReceipt> {
  return await attempt(sender, message, queue, form, deadline, false)
}

async function attempt(
  sender: Sender,
  message: PreparedMessage,
  queue: MessageQueue,
  form: SendForm,
  deadline: Deadline,
  mayGoOn: boolean,
): Promise<SendReceipt> {
  const { instance, settings, faults } = sender
  const started = instance.clock.now()
  const { brokerName } = queue
  try {
    const address =
      instance.brokers.master(brokerName) ?? (await findMaster(instance, message.topic, brokerName, deadline))
    deadline.check(`sending to ${message.topic}`)
    const cap = mayGoOn && settings.attemptTimeoutMs > 0 ? settings.attemptTimeoutMs : undefined
    const input = { header: headerOf(sender, message, queue, form), body: message.body }
    const reply = await instance.call(address, form.request, input, deadline.options(cap))
    faults?.note(brokerName, { latencyMs: instance.clock.now() - started }, instance.clock.now())
    return receiptOf(message, queue, reply)
  } catch (error) {
    noteFailure(sender, brokerName, started, error)
    throw error
  }
}

// What the caller gave up says nothing of the broker.
function noteFailure({ faults, instance }: Sender, broker: string, started: number, error: unknown): void {
  if (error instanceof ClientError && (error.code === 'ABORTED' || error.code === 'CLOSED')) return
  const now = instance.clock.now()
  faults?.note(broker, { latencyMs: now - started, isolate: true, reachable: false }, now)
}

async function findMaster(
  instance: ClientInstance,
  topic: string,
  broker: string,
  deadline: Deadline,
): Promise<string> {
  await instance.routes.fresh(topic, deadline.options())
  const address = instance.brokers.master(broker)
  if (address !== undefined) return address
  const text = `The broker[${broker}] not exist: no name server knows its master`
  throw new ClientError('BROKER_MISSING', text, { responseCode: javaCodes.brokerMissing, retriable: true })
}

function headerOf({ group, settings }: Sender, message: PreparedMessage, queue: MessageQueue, form: SendForm) {
  return {
    a: group,
    b: message.topic,
    c: settings.createTopicKey,
    d: settings.defaultTopicQueues,
    e: queue.queueId,
    f: message.sysFlag,
    g: message.bornTimestamp,
    h: message.flag,
    i: message.properties,
    j: form.reconsumeTimes,
    k: settings.unitMode,
    l: form.maxReconsumeTimes,
    m: form.batch,
    n: queue.brokerName,
  }
}

const STATUS: Readonly<Record<number, SendStatus>> = {
  0: 'SEND_OK',
  10: 'FLUSH_DISK_TIMEOUT',
  11: 'SLAVE_NOT_AVAILABLE',
  12: 'FLUSH_SLAVE_TIMEOUT',
}

function receiptOf(message: PreparedMessage, queue: MessageQueue, reply: Reply<SendRequest>): SendReceipt {
  const { header } = reply
  return {
    status: STATUS[reply.code] ?? 'SEND_OK',
    messageId: message.messageId,
    offsetMessageId: header.msgId,
    queue: header.queueId === queue.queueId ? queue : { ...queue, queueId: header.queueId },
    queueOffset: header.queueOffset,
    transactionId: header.transactionId,
    regionId: header.MSG_REGION ?? 'DefaultRegion',
    traceOn: header.TRACE_ON ?? true,
    recallHandle: header.recallHandle,
  }
}

/** A broker's refusal counts by its code; everything else may go better elsewhere, except what the caller ended. */
function mayRetry(error: ClientError, { retryResponseCodes }: ProducerSettings): boolean {
  if (error.code === 'BROKER_REFUSED') return retryResponseCodes.includes(error.responseCode ?? -1)
  return error.code !== 'ABORTED' && error.code !== 'CLOSED' && error.code !== 'MESSAGE_ILLEGAL'
}

function sendFailed(topic: string, failures: readonly Attempt[], deadline: Deadline): ClientError {
  const last = failures.at(-1)
  if (last === undefined) return timedOut(`sending to ${topic}`, deadline.timeoutMs)
  if (failures.length === 1) return last.error
  const list = failures.map(({ queue, error }) => `${queue?.brokerName ?? 'no broker'}: ${error.message}`).join('; ')
  const text = `Send [${failures.length}] times, still failed, Topic: ${topic}, in ${deadline.timeoutMs - deadline.left} ms: ${list}`
  const { responseCode, remark, address, retriable } = last.error
  return new ClientError('SEND_FAILED', text, { cause: last.error, responseCode, remark, address, retriable })
}
