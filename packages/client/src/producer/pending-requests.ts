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

interface PendingRequest<Body> {
  readonly resolve: (reply: ReceivedMessage<Body>) => void
  readonly reject: (error: ClientError) => void
}

/** Requests that wait for their replies, by correlation id. Each ends once: by reply, deadline, failed send, abort or close. */
export class PendingRequests<Body> {
  readonly #clock: Clock
  readonly #namespace: string
  readonly #codec: Codec<Body>
  readonly #pending = new Map<string, PendingRequest<Body>>()

  constructor(clock: Clock, namespace: string, codec: Codec<Body>) {
    this.#clock = clock
    this.#namespace = namespace
    this.#codec = codec
  }

  get size(): number {
    return this.#pending.size
  }

  /** Waits for the reply. @throws ClientError REPLY_TIMEOUT, ABORTED, CLOSED, or the error of `fail` */
  open(id: string, topic: string, { left, timeoutMs, signal }: Deadline): Promise<ReceivedMessage<Body>> {
    const { promise, resolve, reject } = Promise.withResolvers<ReceivedMessage<Body>>()
    this.#pending.set(id, { resolve, reject })
    const wait = giveUpAfter(this.#clock, { timeoutMs: left, signal }, aborter =>
      this.fail(id, aborter === undefined ? noReply(topic, timeoutMs) : aborted(aborter, 'the request')),
    )
    return promise.finally(() => wait[Symbol.dispose]())
  }

  /** Ends a request without a reply. */
  fail(id: string, error: ClientError): void {
    this.#take(id)?.reject(error)
  }

  /** True if a request waited for this reply. False also for a late or repeated reply. */
  settle(reply: PushedReply): boolean {
    const id = readMessageProperty(reply.properties ?? '', 'CORRELATION_ID')
    const request = id === undefined ? undefined : this.#take(id)
    if (request === undefined) return false
    try {
      request.resolve(this.#read(reply))
    } catch (cause) {
      request.reject(new ClientError('BAD_BODY', 'the reply cannot be read', { cause }))
    }
    return true
  }

  close(): void {
    for (const id of this.#pending.keys()) this.fail(id, closed('this producer'))
  }

  #take(id: string): PendingRequest<Body> | undefined {
    const request = this.#pending.get(id)
    this.#pending.delete(id)
    return request
  }

  /** @throws RemotingError BAD_BODY */
  #read(reply: PushedReply): ReceivedMessage<Body> {
    let reason = ''
    const [view] = readMessages(asStoredMessage(reply, this.#clock.now()), corrupt => {
      reason = corrupt.reason
    })
    if (view === undefined) throw new RemotingError('BAD_BODY', reason)
    const queue = { topic: unwrapNamespace(this.#namespace, reply.topic), brokerName: '', queueId: reply.queueId }
    return new ReceivedMessage(view, queue, { namespace: this.#namespace, codec: this.#codec })
  }
}

// A reply arrives as a header and a body. Encoded as a stored message, it is read like all others.
function asStoredMessage(reply: PushedReply, now: number): Buffer {
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

const UNKNOWN_HOST = { ip: '0.0.0.0', port: 0 }

/** Reads `ip:port`, or `/ip:port` as Java prints addresses. */
function hostOf(text: string | undefined): { readonly ip: string; readonly port: number } {
  const found = /^\/?\[?([\d.]+|[\da-fA-F:.]+)\]?:(\d{1,5})$/.exec(text ?? '')
  return found === null ? UNKNOWN_HOST : { ip: found[1] as string, port: Number(found[2]) }
}

function noReply(topic: string, ms: number): ClientError {
  const text = `send request message to <${topic}> OK, but wait reply message timeout, ${ms} ms.`
  return new ClientError('REPLY_TIMEOUT', text, { responseCode: javaCodes.requestTimeout, retriable: true })
}
