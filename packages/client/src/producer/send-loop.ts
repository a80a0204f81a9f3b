import { responseCodes, sendRequests, V5_0_0 } from '@gantrymq/protocol'
import { pause, type Reply } from '@gantrymq/remoting'
import type { ClientInstance } from '../instance/client-instance.ts'
import { Deadline } from '../deadline.ts'
import { aborted, ClientError, isAccessRefusal, reasonsText, toClientError } from '../errors.ts'
import type { MessageQueue, SendReceipt, SendStatus } from '../message/message.ts'
import { findMaster } from '../routes/find-broker.ts'
import { type KnownTopic, noQueue } from '../routes/route-cache.ts'
import { reasonText } from '../routes/route-reasons.ts'
import type { ProducerTrace } from '../trace/producer-trace.ts'
import type { FaultLatency } from './fault-latency.ts'
import type { PreparedMessage } from './prepared-message.ts'
import type { ProducerSettings } from './producer-options.ts'
import { withoutNamespace } from './queue-choice.ts'
import type { QueuePicker } from './queue-picker.ts'

type SendRequest =
  | typeof sendRequests.SEND_MESSAGE_V2
  | typeof sendRequests.SEND_BATCH_MESSAGE
  | typeof sendRequests.SEND_REPLY_MESSAGE_V2

/** What all sends of a producer share. */
export interface Sender {
  readonly instance: ClientInstance
  /** With the namespace. */
  readonly group: string
  readonly settings: ProducerSettings
  readonly picker: QueuePicker
  /** Undefined without option faultLatency. */
  readonly faults: FaultLatency | undefined
  /** Counts retries. */
  readonly stats?: { retried: number }
  /** RocketMQ's message trace; undefined if it is off. */
  readonly trace?: ProducerTrace | undefined
}

/** The request that carries a message, and what differs in its header. */
export interface SendForm {
  readonly request: SendRequest
  readonly batch: boolean
  /** For messages to a retry topic. */
  readonly reconsumeTimes: number
  readonly maxReconsumeTimes?: number
}

export const singleForm: SendForm = { request: sendRequests.SEND_MESSAGE_V2, batch: false, reconsumeTimes: 0 }
export const batchForm: SendForm = { request: sendRequests.SEND_BATCH_MESSAGE, batch: true, reconsumeTimes: 0 }
export const replyForm: SendForm = { request: sendRequests.SEND_REPLY_MESSAGE_V2, batch: false, reconsumeTimes: 0 }

interface FailedAttempt {
  readonly queue: MessageQueue
  readonly error: ClientError
}

/** The topic to send to; not a promise if its route is cached. @throws ClientError as `RouteCache.toPublish` */
export function publishRoute(
  { instance, settings }: Sender,
  topic: string,
  deadline: Deadline,
): KnownTopic | Promise<KnownTopic> {
  const known = instance.routes.peek(topic)
  if (known !== undefined && known.publish.length > 0) return known
  const { defaultTopicQueues, createTopicKey } = settings
  return instance.routes.toPublish(topic, defaultTopicQueues, createTopicKey, deadline.options())
}

/** The queues to send to, without the namespace. */
export function queuesOf(known: KnownTopic, { namespace }: ProducerSettings): readonly MessageQueue[] {
  return withoutNamespace(known.publish, namespace)
}

/**
 * Sends to a queue of the topic, and after a failure to another one, on another broker if there is one, until the deadline
 * (Apache's DefaultMQProducerImpl.sendDefaultImpl).
 * @throws ClientError SEND_FAILED with a list of the attempts, or the only failure, or one that no retry can avoid
 */
export async function sendWithRetries(
  sender: Sender,
  message: PreparedMessage,
  known: KnownTopic,
  form: SendForm,
  deadline: Deadline,
): Promise<SendReceipt> {
  const { settings, stats } = sender
  const failures: FailedAttempt[] = []
  let notStored: SendReceipt | undefined
  let lastBroker: string | undefined
  for (let left = settings.retries; ; left--) {
    const queue = nextQueue(sender, message.topic, known, lastBroker)
    if (queue === undefined) {
      if (failures.length > 0 || notStored !== undefined) break
      throw noQueue(message.topic, (sender.instance.routes.peek(message.topic) ?? known).route)
    }
    try {
      const receipt = await attempt(sender, message, queue, form, deadline, capOf(sender, known, queue, left, deadline))
      if (receipt.status === 'SEND_OK' || !settings.retryNotStored) return receipt
      notStored = receipt
    } catch (error) {
      const failure = { queue, error: toClientError(error) }
      failures.push(failure)
      if (!mayRetry(failure.error, settings)) break
      await afterFailure(sender, message.topic, failure, left > 0, deadline)
    }
    lastBroker = queue.brokerName
    if (left === 0 || deadline.hasPassed || deadline.signal?.aborted === true) break
    if (stats !== undefined) stats.retried++
  }
  if (notStored !== undefined) return notStored
  throw await explained(sender, message.topic, failures, sendFailed(message.topic, failures, deadline), deadline)
}

/** A name server's codes for addresses that no client can reach. */
const UNREACHABLE = 'UNREACHABLE_ADDRESS'

// If no connection could be opened, the name server may know what is wrong with the address.
async function explained(
  { instance }: Sender,
  topic: string,
  failures: readonly FailedAttempt[],
  error: ClientError,
  deadline: Deadline,
): Promise<ClientError> {
  const isUnreachable = failures.length > 0 && failures.every(each => each.error.code === 'CONNECT_FAILED')
  const reason = isUnreachable ? await instance.routes.reason(topic, deadline) : undefined
  if (reason === undefined || reason.code !== UNREACHABLE) return error
  const { code, message, cause, responseCode, remark, address, retriable } = error
  const options = { cause, responseCode, remark, address, retriable, diagnosis: reason.code }
  return new ClientError(code, `${message}. ${reasonText(reason)}`, options)
}

// Each attempt uses the latest route.
function nextQueue(
  { instance, picker, faults, settings }: Sender,
  topic: string,
  given: KnownTopic,
  lastBroker: string | undefined,
): MessageQueue | undefined {
  const known = instance.routes.peek(topic) ?? given
  return picker.next(queuesOf(known, settings), { lastBroker, faults, now: instance.clock.elapsed() })
}

/** How long a retry waits for the route at most, milliseconds: the name server may be the one that is down. */
const ROUTE_MS = 500

/** Refusals after which the route is fetched: the broker is a slave now, takes no messages, or does not have the topic. */
const ROUTE_CHANGED: ReadonlySet<number | undefined> = new Set([
  responseCodes.SERVICE_NOT_AVAILABLE,
  responseCodes.NO_PERMISSION,
  responseCodes.TOPIC_NOT_EXIST,
])

// A retry at another broker, or at a busy one, starts at once. If there is no other broker, the route is fetched first: the
// broker or the topic may have moved.
async function afterFailure(
  { instance }: Sender,
  topic: string,
  { queue, error }: FailedAttempt,
  isRetried: boolean,
  deadline: Deadline,
): Promise<void> {
  const known = instance.routes.peek(topic)
  const isOnly = known?.publish.every(({ brokerName }) => brokerName === queue.brokerName) ?? true
  const isBusy = error.code === 'BROKER_REFUSED' && !ROUTE_CHANGED.has(error.responseCode)
  if (!isRetried || !isOnly || isBusy || deadline.hasPassed) instance.routes.suspect(topic)
  else
    await instance.routes.renew(
      topic,
      new Deadline(instance.clock, Math.min(ROUTE_MS, deadline.left / 2), deadline.signal),
    )
}

/** The pause before a message is sent again to a broker that refused it, milliseconds. */
const REFUSED_PAUSE_MS = 100

/**
 * Sends to one queue. The message is retried only if the broker refused it: after other failures it may be stored, and a copy
 * after later messages would break their order.
 * @throws ClientError
 */
export async function sendToQueue(
  sender: Sender,
  message: PreparedMessage,
  queue: MessageQueue,
  form: SendForm,
  deadline: Deadline,
): Promise<SendReceipt> {
  const { instance, settings, stats } = sender
  for (let left = settings.retries; ; left--) {
    try {
      return await attempt(sender, message, queue, form, deadline)
    } catch (error) {
      const failure = toClientError(error)
      if (!mayRetry(failure, settings)) throw failure
      instance.routes.suspect(message.topic)
      if (left === 0 || failure.code !== 'BROKER_REFUSED' || deadline.left <= REFUSED_PAUSE_MS) throw failure
      await pause(instance.clock, REFUSED_PAUSE_MS, deadline.signal)
      if (stats !== undefined) stats.retried++
    }
  }
}

/** Sends to one queue without an answer. @throws ClientError if the message cannot be handed to a connection */
export async function sendOnewayTo(
  sender: Sender,
  message: PreparedMessage,
  queue: MessageQueue,
  deadline: Deadline,
): Promise<void> {
  const { instance, group, settings } = sender
  const { brokerName } = queue
  const started = instance.clock.elapsed()
  const { request } = singleForm
  const input = { header: headerOf(group, settings, message, queue, singleForm), body: message.body }
  try {
    const address = await findMaster(instance, { topic: message.topic, brokerName }, deadline)
    if (message.isTimed && !settings.allowImmediateDelivery) await checkTimers(sender, brokerName, address, deadline)
    await instance.oneway(address, request, input, deadline.options())
  } catch (error) {
    noteFailure(sender, brokerName, started, error)
    throw error
  }
}

/** The least share of an attempt, milliseconds: brokers that sync to a disk need some time. */
const LEAST_ATTEMPT_MS = 500

/** How long an attempt may take, so that a broker that hangs leaves time for another one; undefined for all of it. */
function capOf(
  { instance, faults, settings }: Sender,
  known: KnownTopic,
  queue: MessageQueue,
  retriesLeft: number,
  deadline: Deadline,
): number | undefined {
  if (retriesLeft === 0) return undefined
  if (settings.attemptTimeoutMs > 0) return settings.attemptTimeoutMs
  const now = instance.clock.elapsed()
  const isOtherWell = known.publish.some(
    ({ brokerName }) => brokerName !== queue.brokerName && (faults?.isAvailable(brokerName, now) ?? true),
  )
  return isOtherWell ? Math.max(LEAST_ATTEMPT_MS, deadline.left / (retriesLeft + 1)) : undefined
}

async function attempt(
  sender: Sender,
  message: PreparedMessage,
  queue: MessageQueue,
  form: SendForm,
  deadline: Deadline,
  cap?: number,
): Promise<SendReceipt> {
  const { instance, settings, faults, group } = sender
  const { clock } = instance
  const started = clock.elapsed()
  const { brokerName } = queue
  try {
    deadline.check(`sending to ${message.topic}`)
    // A known master without a promise: see SendPipeline.send.
    const address =
      instance.brokers.master(brokerName) ??
      (await findMaster(instance, { topic: message.topic, brokerName }, deadline))
    if (message.isTimed && !settings.allowImmediateDelivery) await checkTimers(sender, brokerName, address, deadline)
    const input = { header: headerOf(group, settings, message, queue, form), body: message.body }
    const reply = await instance.call(address, form.request, input, deadline.options(cap))
    if (faults !== undefined) {
      const now = clock.elapsed()
      faults.note(brokerName, { latencyMs: now - started }, now)
    }
    const receipt = receiptOf(message, queue, reply)
    sender.trace?.sent(message, receipt, address, clock.elapsed() - started)
    return receipt
  } catch (error) {
    noteFailure(sender, brokerName, started, error)
    throw error
  }
}

/** How long a send waits at most for the version of its broker, milliseconds. */
const VERSION_MS = 1000

/** A broker of 4.9 would deliver the message at once. @throws ClientError UNSUPPORTED */
async function checkTimers(
  { instance }: Sender,
  brokerName: string,
  address: string,
  deadline: Deadline,
): Promise<void> {
  // The answer to a heartbeat has the version. Heartbeats go to all brokers, of which one may hang.
  if (instance.brokers.version(brokerName, address) === 0) {
    const atMost = Math.min(VERSION_MS, deadline.left / 2)
    await new Deadline(instance.clock, atMost, deadline.signal).upTo(instance.heartbeat())
  }
  const version = instance.brokers.version(brokerName, address)
  if (version === 0 || version >= V5_0_0) return
  const text = `the broker ${brokerName} at ${address} is older than 5.0 and would deliver a message with delayMs or deliverAt at once: use delayLevel, or set option allowImmediateDelivery`
  throw new ClientError('UNSUPPORTED', text, { address })
}

/** Failures that are the broker's. */
const BROKER_FAULTS: ReadonlySet<string> = new Set(['CONNECT_FAILED', 'TIMEOUT', 'BAD_BODY', 'TLS', 'BROKER_MISSING'])

// A refusal counts only if it is retried: a broker is not avoided because of the caller's mistakes.
function noteFailure({ faults, instance, settings }: Sender, broker: string, started: number, error: unknown): void {
  if (faults === undefined || !(error instanceof ClientError)) return
  const answered = error.code === 'BROKER_REFUSED'
  if (answered ? !mayRetry(error, settings) : !BROKER_FAULTS.has(error.code)) return
  const now = instance.clock.elapsed()
  faults.note(broker, { latencyMs: now - started, isolate: true, reachable: answered }, now)
}

function headerOf(
  group: string,
  settings: ProducerSettings,
  message: PreparedMessage,
  queue: MessageQueue,
  form: SendForm,
) {
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

/** Failures that no retry can avoid: mistakes of the caller, and calls that it ended. */
const FINAL: ReadonlySet<string> = new Set([
  'ABORTED',
  'CLOSED',
  'MESSAGE_ILLEGAL',
  'BAD_OPTION',
  'BAD_NAME',
  'UNSUPPORTED',
])

/** True if another attempt may succeed. */
function mayRetry(error: ClientError, { retryResponseCodes }: ProducerSettings): boolean {
  // Another broker would ask for the same permissions.
  if (isAccessRefusal(error)) return false
  if (error.code === 'BROKER_REFUSED') return retryResponseCodes.includes(error.responseCode ?? -1)
  return !FINAL.has(error.code)
}

// A failure that no retry can avoid is thrown as it is. Otherwise the error lists all attempts, as the last one alone may
// mislead.
function sendFailed(topic: string, failures: readonly FailedAttempt[], deadline: Deadline): ClientError {
  // A caller that aborts gets ABORTED, whatever failed before.
  if (deadline.signal?.aborted) return aborted(deadline.signal, `sending to ${topic}`)
  const last = failures.at(-1) as FailedAttempt
  if (failures.length === 1 || FINAL.has(last.error.code)) return last.error
  const list = reasonsText(failures.map(({ queue, error }) => ({ who: queue.brokerName, why: error.message })))
  const text = `Send [${failures.length}] times, still failed, cost [${deadline.timeoutMs - deadline.left}]ms, Topic: ${topic}: ${list}`
  const { responseCode, remark, address, retriable } = last.error
  return new ClientError('SEND_FAILED', text, { cause: last.error, responseCode, remark, address, retriable })
}
