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
  type Pack,
  packed,
  packsOf,
  receiptsOf,
} from './batches.ts'
import type { Extra, Outbound, SendOptions } from './send-pipeline.ts'
import { propertiesOf } from './prepared-message.ts'
import { batchForm, publishRoute, type Sender, singleForm } from './send-loop.ts'

/**
 * Sends messages in as few requests as their topics and sizes allow. A receipt for each, in the order given.
 * @throws ClientError; BatchError if some were stored and others were not
 */
export async function sendBatch<Body>(
  outbound: Outbound<Body>,
  messages: readonly OutgoingMessage<Body>[],
  options: SendOptions<Body>,
  extra: Extra,
): Promise<SendReceipt[]> {
  const deadline = outbound.deadline(options)
  const items = messages.map((message, index) => {
    const prepared = outbound.prepare(message, extra)
    checkBatchable(message)
    return { index, message, prepared }
  })
  return await sendItems(outbound, items, options, deadline)
}

/** The same for messages that were checked and encoded; `index` of each is its place in the list. */
export async function sendItems<Body>(
  outbound: Outbound<Body>,
  items: readonly BatchItem<Body>[],
  options: SendOptions<Body>,
  deadline: Deadline,
): Promise<SendReceipt[]> {
  const receipts: (SendReceipt | undefined)[] = items.map(() => undefined)
  const groups = groupsOf(items).map(group => sendGroup(outbound, group, receipts, options, deadline))
  const ends = await Promise.allSettled(groups)
  const failures = ends.filter(end => end.status === 'rejected').map(({ reason }) => toClientError(reason))
  const [first] = failures
  if (first === undefined) return receipts as SendReceipt[]
  // Whoever gave up is not told of what had failed before.
  const cause = failures.find(({ code }) => code === 'ABORTED') ?? first
  throw receipts.some(receipt => receipt !== undefined) ? new BatchError(cause, receipts) : cause
}

// One pack after the other, so that the messages of one queue keep their order.
async function sendGroup<Body>(
  outbound: Outbound<Body>,
  group: readonly BatchItem<Body>[],
  receipts: (SendReceipt | undefined)[],
  options: SendOptions<Body>,
  deadline: Deadline,
): Promise<void> {
  const { maxBatchBytes, maxMessageSize } = outbound.sender.settings
  for (const pack of packsOf(group, Math.min(maxBatchBytes, maxMessageSize))) {
    const receipt = await sendPack(outbound, pack, options, deadline)
    const each = receiptsOf(pack, receipt)
    for (const [at, { index }] of pack.entries()) receipts[index] = each[at]
  }
}

async function sendPack<Body>(
  outbound: Outbound<Body>,
  pack: Pack<Body>,
  choice: SendOptions<Body>,
  deadline: Deadline,
): Promise<SendReceipt> {
  const [{ message, prepared: first }] = pack
  const count = pack.length
  if (count === 1) return await outbound.pass({ prepared: first, count, form: singleForm, message, choice }, deadline)
  const { topic, waitStored } = message
  const { namespace } = outbound.sender.settings
  const messageId = (await keepsMemberIds(outbound.sender, first.topic, deadline)) ? outbound.nextId() : ''
  const additions = { messageId, now: first.bornTimestamp }
  const properties = propertiesOf({ topic, body: null, waitStored }, namespace, additions)
  const prepared = packed(pack, properties, messageId)
  return await outbound.pass({ prepared, count, form: batchForm, message, choice }, deadline)
}

/** A broker that does not tell its version does not hold up batches for longer, milliseconds. */
const VERSION_MS = 1000
/** What asked brokers, by address: one that is away is not waited for with every batch. */
const asked = new WeakMap<ClientInstance, Map<string, Promise<void>>>()

/**
 * Whether a batch may have an id beside those of its messages. 5.x needs it for topics that keep batches whole; brokers of
 * 4.9 append it to the properties of each message, where it would hide the message's own (CommitLog.MessageExtEncoder).
 */
async function keepsMemberIds(sender: Sender, topic: string, deadline: Deadline): Promise<boolean> {
  const { instance } = sender
  const { publish } = await publishRoute(sender, topic, deadline)
  const names = [...new Set(publish.map(({ brokerName }) => brokerName))]
  await learnVersions(instance, names, deadline)
  const { brokers } = instance
  const known = names.map(name => brokers.version(name, brokers.master(name) ?? '')).filter(version => version > 0)
  return known.length > 0 && known.every(version => version >= V5_0_0)
}

// A broker tells its version with the first heartbeat.
async function learnVersions(instance: ClientInstance, names: readonly string[], deadline: Deadline): Promise<void> {
  const { brokers, clock } = instance
  const strange = names
    .map(name => ({ name, address: brokers.master(name) ?? '' }))
    .filter(({ name, address }) => address !== '' && brokers.version(name, address) === 0)
  if (strange.length === 0) return
  const unknown = strange.map(({ address }) => address)
  const answers = asked.get(instance) ?? new Map<string, Promise<void>>()
  asked.set(instance, answers)
  const strangers = unknown.filter(address => !answers.has(address))
  if (strangers.length > 0) {
    // One that told is asked again should it go and come back, perhaps with another version.
    const told = instance.heartbeat().then(() => {
      for (const { name, address } of strange) if (brokers.version(name, address) > 0) answers.delete(address)
    })
    const answer = within(clock, told, VERSION_MS, undefined, 'the heartbeat').catch(() => {})
    for (const address of strangers) answers.set(address, answer)
  }
  const all = Promise.all(unknown.map(address => answers.get(address) ?? Promise.resolve()))
  await within(clock, all, deadline.left / 2, deadline.signal, 'the heartbeat').catch(() => {})
}
