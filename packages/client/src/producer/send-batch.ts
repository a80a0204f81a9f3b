import { V5_0_0 } from '@gantrymq/protocol'
import type { ClientInstance } from '../instance/client-instance.ts'
import { type Deadline, within } from '../deadline.ts'
import { toClientError } from '../errors.ts'
import type { OutgoingMessage, SendReceipt } from '../message/message.ts'
import {
  BatchError,
  type BatchItem,
  checkBatchable,
  groupsOf,
  type Batch,
  batchMessage,
  batchesOf,
  receiptsOf,
} from './batches.ts'
import type { SendPipeline, SendOptions } from './send-pipeline.ts'
import { type Extras, propertiesOf } from './prepared-message.ts'
import { batchForm, publishRoute, type Sender, singleForm } from './send-loop.ts'

/**
 * Sends messages in as few requests as their topics and sizes allow. Returns a receipt per message, in their order.
 * @throws ClientError; BatchError if some were stored and others were not
 */
export async function sendBatch<Body>(
  pipeline: SendPipeline<Body>,
  messages: readonly OutgoingMessage<Body>[],
  options: SendOptions<Body>,
  extras: Extras,
): Promise<SendReceipt[]> {
  const deadline = pipeline.deadline(options)
  const items = messages.map((message, index) => {
    const prepared = pipeline.prepareForBatch(message, extras)
    checkBatchable(message)
    return { index, message, prepared }
  })
  return await sendItems(pipeline, items, options, deadline)
}

/** As `sendBatch`, for prepared messages; `index` of each is its index in the array. */
export async function sendItems<Body>(
  pipeline: SendPipeline<Body>,
  items: readonly BatchItem<Body>[],
  options: SendOptions<Body>,
  deadline: Deadline,
): Promise<SendReceipt[]> {
  const receipts: (SendReceipt | undefined)[] = items.map(() => undefined)
  const groups = groupsOf(items).map(group => sendGroup(pipeline, group, receipts, options, deadline))
  const ends = await Promise.allSettled(groups)
  const failures = ends.filter(end => end.status === 'rejected').map(({ reason }) => toClientError(reason))
  const [first] = failures
  if (first === undefined) return receipts as SendReceipt[]
  // A caller that aborts gets ABORTED, whatever failed before.
  const cause = failures.find(({ code }) => code === 'ABORTED') ?? first
  throw receipts.some(receipt => receipt !== undefined) ? new BatchError(cause, receipts) : cause
}

// One batch after the other, so that the messages of one queue keep their order.
async function sendGroup<Body>(
  pipeline: SendPipeline<Body>,
  group: readonly BatchItem<Body>[],
  receipts: (SendReceipt | undefined)[],
  options: SendOptions<Body>,
  deadline: Deadline,
): Promise<void> {
  const { maxBatchBytes, maxMessageSize } = pipeline.sender.settings
  for (const batch of batchesOf(group, Math.min(maxBatchBytes, maxMessageSize))) {
    const receipt = await sendOne(pipeline, batch, options, deadline)
    const each = receiptsOf(batch, receipt)
    for (const [at, { index }] of batch.entries()) receipts[index] = each[at]
  }
}

async function sendOne<Body>(
  pipeline: SendPipeline<Body>,
  batch: Batch<Body>,
  choice: SendOptions<Body>,
  deadline: Deadline,
): Promise<SendReceipt> {
  const [{ message, prepared: first }] = batch
  const count = batch.length
  if (count === 1) return await pipeline.run({ prepared: first, count, form: singleForm, message, choice }, deadline)
  const { topic, waitStored } = message
  const { namespace } = pipeline.sender.settings
  const messageId = (await mayHaveOwnId(pipeline.sender, first.topic, deadline)) ? pipeline.nextId() : ''
  const additions = { messageId, now: first.bornTimestamp }
  const properties = propertiesOf({ topic, body: null, waitStored }, namespace, additions)
  const prepared = batchMessage(batch, properties, messageId)
  return await pipeline.run({ prepared, count, form: batchForm, message, choice }, deadline)
}

/** How long a batch waits for the versions of brokers at most, milliseconds. */
const VERSION_MS = 1000
/** The heartbeats sent to learn versions, by address: not every batch waits for a broker that does not answer. */
const asked = new WeakMap<ClientInstance, Map<string, Promise<void>>>()

/**
 * True if a batch may have an id besides those of its messages. 5.x needs it for topics that store a batch as one record. 4.9
 * brokers append it to the properties of each message, where it hides the message's own id (CommitLog.MessageExtEncoder).
 */
async function mayHaveOwnId(sender: Sender, topic: string, deadline: Deadline): Promise<boolean> {
  const { instance } = sender
  const { publish } = await publishRoute(sender, topic, deadline)
  const names = [...new Set(publish.map(({ brokerName }) => brokerName))]
  await learnVersions(instance, names, deadline)
  const { brokers } = instance
  const known = names.map(name => brokers.version(name, brokers.master(name) ?? '')).filter(version => version > 0)
  return known.length > 0 && known.every(version => version >= V5_0_0)
}

// A broker announces its version in the answer to a heartbeat.
async function learnVersions(instance: ClientInstance, names: readonly string[], deadline: Deadline): Promise<void> {
  const { brokers, clock } = instance
  const unknown = names
    .map(name => ({ name, address: brokers.master(name) ?? '' }))
    .filter(({ name, address }) => address !== '' && brokers.version(name, address) === 0)
  if (unknown.length === 0) return
  const answers = asked.get(instance) ?? new Map<string, Promise<void>>()
  asked.set(instance, answers)
  const notAsked = unknown.filter(({ address }) => !answers.has(address))
  if (notAsked.length > 0) {
    // A broker that has answered is asked again if its version is forgotten: it may come back with another one.
    const versions = instance.heartbeat().then(() => {
      for (const { name, address } of unknown) if (brokers.version(name, address) > 0) answers.delete(address)
    })
    const answer = within(clock, versions, VERSION_MS, undefined, 'the heartbeat').catch(() => {})
    for (const { address } of notAsked) answers.set(address, answer)
  }
  const all = Promise.all(unknown.map(({ address }) => answers.get(address) ?? Promise.resolve()))
  await within(clock, all, deadline.left / 2, deadline.signal, 'the heartbeat').catch(() => {})
}
