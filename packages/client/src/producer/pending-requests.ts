import {
  BORN_HOST_V6,
  bodyCrc,
  encodeMessage,
  readMessageProperties,
  readMessageProperty,
  readMessages,
  STORE_HOST_V6,
  unwrapNamespace,
} from '@gantrymq/protocol'
import { type Clock, giveUpAfter, RemotingError } from '@gantrymq/remoting'
import type { Codec } from '../message/codec.ts'
import { ReceivedMessage } from '../message/received-message.ts'
import type { Deadline } from '../deadline.ts'
import { aborted, ClientError, closed, javaCodes } from '../errors.ts'
import type { PushedReply } from '../instance/instance-members.ts'

interface Waiting<Body> {
  readonly resolve: (reply: ReceivedMessage<Body>) => void
  readonly reject: (error: ClientError) => void
}

/** Requests that wait for their replies, by correlation id. Each ends once: reply, deadline, failed send, abort or close. */
export class PendingRequests<Body> {
  readonly #clock: Clock
  readonly #namespace: string
  readonly #codec: Codec<Body>
  readonly #waiting = new Map<string, Waiting<Body>>()

  constructor(clock: Clock, namespace: string, codec: Codec<Body>) {
    this.#clock = clock
    this.#namespace = namespace
    this.#codec = codec
  }

  get size(): number {
    return this.#waiting.size
  }

  /** The reply, when it comes. @throws ClientError REPLY_TIMEOUT, ABORTED, CLOSED, or what `fail` says */
  open(id: string, topic: string, { left, timeoutMs, signal }: Deadline): Promise<ReceivedMessage<Body>> {
    const { promise, resolve, reject } = Promise.withResolvers<ReceivedMessage<Body>>()
    this.#waiting.set(id, { resolve, reject })
    const wait = giveUpAfter(this.#clock, { timeoutMs: left, signal }, byUser =>
      this.fail(id, byUser === undefined ? noReply(topic, timeoutMs) : aborted(byUser, 'the request')),
    )
    return promise.finally(() => wait[Symbol.dispose]())
  }

  /** Ends one without a reply. */
  fail(id: string, error: ClientError): void {
    this.#take(id)?.reject(error)
  }

  /** True if somebody waited for this reply; false also for one that comes late or twice. */
  settle(reply: PushedReply): boolean {
    const id = readMessageProperty(reply.properties ?? '', 'CORRELATION_ID')
    const waiting = id === undefined ? undefined : this.#take(id)
    if (waiting === undefined) return false
    try {
      waiting.resolve(this.#read(reply))
    } catch (cause) {
      waiting.reject(new ClientError('BAD_BODY', 'the reply cannot be read', { cause }))
    }
    return true
  }

  close(): void {
    for (const id of this.#waiting.keys()) this.fail(id, closed('this producer'))
  }

  #take(id: string): Waiting<Body> | undefined {
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    return waiting
  }

  /** @throws RemotingError if it cannot be */
  #read(reply: PushedReply): ReceivedMessage<Body> {
    let reason = ''
    const [view] = readMessages(storedForm(reply, this.#clock.now()), corrupt => {
      reason = corrupt.reason
    })
    if (view === undefined) throw new RemotingError('BAD_BODY', reason)
    const queue = { topic: unwrapNamespace(this.#namespace, reply.topic), brokerName: '', queueId: reply.queueId }
    return new ReceivedMessage(view, queue, { namespace: this.#namespace, codec: this.#codec })
  }
}

// Replies come as a header and a body. Written as brokers store messages, they are read as all others are.
function storedForm(reply: PushedReply, now: number): Buffer {
  const properties = readMessageProperties(reply.properties ?? '').set('ARRIVE_TIME', String(now))
  const { topic, body, queueId, flag, sysFlag, bornTimestamp, storeTimestamp, reconsumeTimes } = reply
  return encodeMessage({
    topic,
    body,
    properties,
    queueId,
    flag,
    sysFlag: sysFlag & ~(BORN_HOST_V6 | STORE_HOST_V6),
    queueOffset: 0,
    physicalOffset: 0,
    bornTimestamp,
    bornHost: hostOf(reply.bornHost),
    storeTimestamp,
    storeHost: hostOf(reply.storeHost),
    reconsumeTimes,
    preparedTransactionOffset: 0,
    bodyCrc: bodyCrc(body),
  })
}

const NOWHERE = { ip: '0.0.0.0', port: 0 }

/** `ip:port`, or `/ip:port` as Java prints addresses. */
function hostOf(text: string | undefined): { readonly ip: string; readonly port: number } {
  const found = /^\/?\[?([\d.]+|[\da-fA-F:.]+)\]?:(\d{1,5})$/.exec(text ?? '')
  return found === null ? NOWHERE : { ip: found[1] as string, port: Number(found[2]) }
}

function noReply(topic: string, ms: number): ClientError {
  const text = `send request message to <${topic}> OK, but wait reply message timeout, ${ms} ms.`
  return new ClientError('REPLY_TIMEOUT', text, { responseCode: javaCodes.requestTimeout, retriable: true })
}
