import type { TestContext } from 'node:test'
import { setTimeout as delay } from 'node:timers/promises'
import { clientNotices, decodeMessages, sendRequests, writeMessageProperties } from '@gantrymq/protocol'
import {
  type CallInput,
  type HandlersFor,
  RemotingClient,
  type Reply,
  type RequestDeclaration,
  Router,
} from '@gantrymq/remoting'
import { type Maker, startBrokerOf } from '../launch/brokers.ts'
import { startOurProgram } from '../launch/our-name-server.ts'

export const GROUP = 'request-group'
export const BROKER = 'request-broker'
const WAIT_MS = 20_000

export type BrokerCall = <const D extends RequestDeclaration>(declaration: D, input?: CallInput<D>) => Promise<Reply<D>>

/** A broker, the clients that call it, and the notices that it has sent. */
export interface BrokerUnderTest {
  readonly maker: Maker
  readonly call: BrokerCall
  /** Calls with binary headers. */
  readonly callBinary: BrokerCall
  /** Calls as an admin. The broker forwards its questions to the client of `call`. */
  readonly callAsAdmin: BrokerCall
  /** Names of the notices that the broker has sent to the client of `call`. */
  readonly notices: string[]
}

export const clientId = '127.0.0.1@requests'

export const subscription = (topic: string) => ({
  topic,
  subString: '*',
  expressionType: 'TAG',
  tagsSet: [],
  codeSet: [],
  subVersion: 1700000000000,
})

export const queueOf = (topic: string) => ({ topic, brokerName: BROKER, queueId: 0 })

function noticeHandlers(notices: string[]): HandlersFor<typeof clientNotices, null> {
  const noted = (name: string) => () => {
    notices.push(name)
    return {}
  }
  return {
    CHECK_TRANSACTION_STATE: noted('CHECK_TRANSACTION_STATE'),
    NOTIFY_CONSUMER_IDS_CHANGED: ({ header }) => {
      notices.push(`changed ${header.consumerGroup}`)
      return {}
    },
    RESET_CONSUMER_CLIENT_OFFSET: noted('RESET_CONSUMER_CLIENT_OFFSET'),
    GET_CONSUMER_STATUS_FROM_CLIENT: ({ header }) => ({
      body: { messageQueueTable: [{ queue: queueOf(header.topic), offset: 7 }] },
    }),
    GET_CONSUMER_RUNNING_INFO: ({ header }) => ({
      body: {
        properties: new Map([['of', header.clientId]]),
        subscriptionSet: [subscription('of-running-info')],
        mqTable: [],
        statusTable: new Map(),
      },
    }),
    CONSUME_MESSAGE_DIRECTLY: ({ body }) => {
      const [message] = decodeMessages(body ?? Buffer.alloc(0))
      const remark = `${message?.topic} ${message?.body.toString()}`
      return { body: { order: false, autoCommit: true, consumeResult: 'CR_LATER', remark, spentTimeMills: 1 } }
    },
    PUSH_REPLY_MESSAGE_TO_CLIENT: noted('PUSH_REPLY_MESSAGE_TO_CLIENT'),
  }
}

/** Starts a name server, a broker and three clients. */
export async function startBrokerUnderTest(t: TestContext, maker: Maker): Promise<BrokerUnderTest> {
  const owner = { after: (close: () => Promise<void>) => t.after(close) }
  const nameServer = await startOurProgram(owner)
  const broker = await startBrokerOf(maker, owner, { nameServers: [nameServer.address], name: BROKER })
  const notices: string[] = []
  const router = new Router(clientNotices, noticeHandlers(notices), null)
  const client = new RemotingClient({ onRequest: (command, peer) => router.dispatch(command, peer) })
  const binary = new RemotingClient({ serializeType: 'ROCKETMQ' })
  const admin = new RemotingClient()
  for (const each of [client, binary, admin]) t.after(() => each.close())
  const through =
    (each: RemotingClient): BrokerCall =>
    (declaration, input) =>
      each.call(broker.address, declaration, input)
  return { maker, call: through(client), callBinary: through(binary), callAsAdmin: through(admin), notices }
}

/** Asks until the answer satisfies a condition. @throws with the last answer if the time passes first */
export async function until<T>(ask: () => Promise<T>, satisfies: (value: T) => boolean): Promise<T> {
  const end = Date.now() + WAIT_MS
  for (;;) {
    const value = await ask().catch((error: unknown) => error as T)
    if (satisfies(value)) return value
    if (Date.now() > end) throw new Error('the broker did not answer as expected', { cause: value })
    await delay(100)
  }
}

const properties = writeMessageProperties(
  new Map([
    ['KEYS', 'the-key'],
    ['UNIQ_KEY', '7F0000010001'.padEnd(32, '0')],
  ]),
)

const sendFields = (topic: string) =>
  ({
    a: 'request-producer',
    b: topic,
    c: 'TBW102',
    d: 4,
    e: 0,
    f: 0,
    g: Date.now(),
    h: 0,
    i: properties,
    j: 0,
    k: false,
    l: 16,
    m: false,
    n: BROKER,
  }) as const

export async function send(call: BrokerCall, topic: string, body: string) {
  const input = { header: sendFields(topic), body: Buffer.from(body) }
  return until(
    () => call(sendRequests.SEND_MESSAGE_V2, input),
    reply => reply.code === 0,
  )
}
