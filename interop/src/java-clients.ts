import assert from 'node:assert/strict'
import type { Release } from './apache.ts'
import type { Launched, Owner } from './launched.ts'
import { startProgram } from './launcher.ts'

const READY_MS = 60_000
const ANSWER_MS = 45_000
const RECEIVED_MS = 30_000

/** A queue as Java and we write it. */
export interface JavaQueue {
  readonly topic: string
  readonly brokerName: string
  readonly queueId: number
}

/** What Java is to send; `system` holds reserved properties, TIMER_DELAY_MS for example. */
export interface JavaOutgoing {
  readonly topic: string
  readonly body: string | Uint8Array
  readonly tags?: string
  readonly keys?: readonly string[]
  readonly properties?: Readonly<Record<string, string>>
  readonly system?: Readonly<Record<string, string>>
  readonly delayLevel?: number
  readonly flag?: number
}

/** Settings that every Java client takes. */
export interface JavaSettings {
  readonly nameServers?: string
  readonly namespace?: string
  readonly instanceName?: string
  readonly unitName?: string
  readonly accessKey?: string
  readonly secretKey?: string
  readonly tls?: boolean
  readonly vip?: boolean
  readonly trace?: boolean
}

export interface JavaProducerSettings extends JavaSettings {
  readonly group?: string
  readonly compressType?: 'ZLIB' | 'LZ4' | 'ZSTD'
  /** Bodies of this size and more are compressed. */
  readonly compressOver?: number
  readonly transactions?: boolean
  readonly timeoutMs?: number
}

export interface JavaSend {
  readonly producer?: JavaProducerSettings
  readonly mode?: 'sync' | 'async' | 'oneway' | 'batch'
  readonly queue?: JavaQueue
  readonly shardingKey?: string
}

export interface JavaReceipt {
  readonly status: string
  readonly messageId: string
  readonly offsetMessageId?: string
  readonly queue: JavaQueue
  readonly queueOffset: number
  readonly transactionId?: string
  readonly regionId?: string
  readonly recallHandle?: string
  readonly localState?: string
}

/** A message that Java got. */
export interface JavaMessage {
  readonly topic: string
  /** As UTF-8. */
  readonly text: string
  readonly body: Buffer
  readonly tags?: string
  readonly keys?: string
  readonly flag: number
  readonly properties: Readonly<Record<string, string>>
  readonly messageId: string
  readonly offsetMessageId?: string
  readonly brokerName?: string
  readonly queueId: number
  readonly queueOffset: number
  readonly reconsumeTimes: number
  readonly sysFlag: number
  readonly bornTimestamp: number
  readonly bornHost: string
  readonly storeTimestamp: number
  readonly transactionId?: string
  readonly bodyCrc: number
  /** When Java told of it; absent for messages that were asked for. */
  readonly at?: number
}

export type JavaSubscriptions = Readonly<Record<string, string | { readonly sql: string }>>

export interface JavaConsumerSettings extends JavaSettings {
  readonly group: string
  readonly subscriptions: JavaSubscriptions
  readonly orderly?: boolean
  readonly broadcast?: boolean
  /** Default first. */
  readonly from?: 'first' | 'last'
  readonly threads?: number
  readonly batchSize?: number
  readonly maxReconsumeTimes?: number
  /** How often each message is refused before it is taken. */
  readonly failTimes?: number
  /** Refuse by an exception. */
  readonly throws?: boolean
  /** Of refused messages: 0 lets the broker choose, -1 sends to the dead letters. */
  readonly delayLevel?: number
  readonly suspendMs?: number
  /** How long the listener takes. */
  readonly workMs?: number
  /** Answer each message as a request. */
  readonly reply?: boolean
  /** False lets a 5.x broker assign the queues. */
  readonly clientRebalance?: boolean
}

export interface JavaHeldQueue extends JavaQueue {
  readonly locked?: boolean
  readonly pop?: boolean
}

/** An error that the Java client threw. */
export class JavaError extends Error {
  readonly type: string
  /** The broker's response code or the client's own; -1 if there is none. */
  readonly responseCode: number

  constructor(type: string, message: string, responseCode: number) {
    super(`${type}: ${message}`)
    this.type = type
    this.responseCode = responseCode
  }
}

interface Answer {
  readonly id?: number
  readonly result?: unknown
  readonly error?: { readonly type: string; readonly message: string; readonly code: number }
  readonly event?: string
  readonly consumer?: string
  readonly message?: WireMessage
  readonly at?: number
}

type WireMessage = Omit<JavaMessage, 'body' | 'text'> & { readonly body?: string }

function messageOf(wire: WireMessage, at?: number): JavaMessage {
  const body = Buffer.from(wire.body ?? '', 'base64')
  return { ...wire, body, text: body.toString(), ...(at === undefined ? {} : { at }) }
}

const outgoing = (message: JavaOutgoing) => ({ ...message, body: Buffer.from(message.body).toString('base64') })

/** Waits until something is so; `changed` is called by whoever may have made it so. */
class Watch {
  #waiters = new Set<() => void>()

  changed(): void {
    for (const look of this.#waiters) look()
  }

  /** @throws with what `complaint` says when the time is up. */
  async until(isSo: () => boolean, ms: number, complaint: () => string): Promise<void> {
    if (isSo()) return
    await new Promise<void>((resolve, reject) => {
      const done = () => {
        clearTimeout(timer)
        this.#waiters.delete(look)
      }
      const look = () => {
        if (!isSo()) return
        done()
        resolve()
      }
      const timer = setTimeout(() => {
        done()
        reject(new Error(`${complaint()} (in ${ms} ms)`))
      }, ms)
      this.#waiters.add(look)
    })
  }
}

/** A push consumer in the Java process. */
export class JavaConsumer {
  readonly name: string
  readonly clientId: string
  readonly received: JavaMessage[]
  readonly #java: JavaClient
  readonly #watch: Watch

  constructor(java: JavaClient, name: string, clientId: string, stream: Stream) {
    this.#java = java
    this.name = name
    this.clientId = clientId
    this.received = stream.received
    this.#watch = stream.watch
  }

  /** The bodies that came, in order of arrival. */
  get texts(): string[] {
    return this.received.map(message => message.text)
  }

  /** Waits until what came satisfies. @throws when the time is up, with what came. */
  async until(isSo: (received: readonly JavaMessage[]) => boolean, ms = RECEIVED_MS): Promise<readonly JavaMessage[]> {
    const complaint = () => `Java got only ${this.received.length}: ${this.texts.slice(0, 20).join(', ')}`
    await this.#watch.until(() => isSo(this.received), ms, complaint)
    return this.received
  }

  /** Waits for so many messages, doubles included. */
  count(count: number, ms = RECEIVED_MS): Promise<readonly JavaMessage[]> {
    return this.until(received => received.length >= count, ms)
  }

  /** The queues that it holds now. */
  queues(): Promise<readonly JavaHeldQueue[]> {
    return this.#java.ask<JavaHeldQueue[]>('queues', { consumer: this.name })
  }

  async suspend(): Promise<void> {
    await this.#java.ask('suspend', { consumer: this.name })
  }

  async resume(): Promise<void> {
    await this.#java.ask('resume', { consumer: this.name })
  }

  /** Shuts it down as Java does: what is being consumed ends, offsets are stored, the broker is told. */
  async stop(): Promise<void> {
    await this.#java.ask('stopConsumer', { consumer: this.name })
  }
}

export interface JavaLitePullSettings extends JavaSettings {
  readonly group: string
  readonly subscriptions?: JavaSubscriptions
  /** All queues of this topic are assigned. */
  readonly assign?: string
  readonly autoCommit?: boolean
}

/** A lite pull consumer in the Java process. */
export class JavaLitePull {
  readonly name: string
  readonly #java: JavaClient

  constructor(java: JavaClient, name: string) {
    this.#java = java
    this.name = name
  }

  async poll(timeoutMs = 1_000): Promise<JavaMessage[]> {
    const messages = await this.#java.ask<WireMessage[]>('poll', { consumer: this.name, timeoutMs })
    return messages.map(message => messageOf(message))
  }

  /** Polls until so many came. @throws when the time is up. */
  async take(count: number, ms = RECEIVED_MS): Promise<JavaMessage[]> {
    const end = Date.now() + ms
    const taken: JavaMessage[] = []
    while (taken.length < count) {
      if (Date.now() > end) assert.fail(`Java polled only ${taken.length} of ${count} in ${ms} ms`)
      taken.push(...(await this.poll(500)))
    }
    return taken
  }

  assignment(): Promise<JavaQueue[]> {
    return this.#java.ask('assignment', { consumer: this.name })
  }

  async commit(): Promise<void> {
    await this.#java.ask('commit', { consumer: this.name })
  }

  /** The stored offset of a queue; -1 if there is none. */
  committed(queue: JavaQueue): Promise<number> {
    return this.#java.ask('committed', { consumer: this.name, queue })
  }

  async seek(queue: JavaQueue, offset: number): Promise<void> {
    await this.#java.ask('seek', { consumer: this.name, queue, offset })
  }

  async stop(): Promise<void> {
    await this.#java.ask('stopLitePull', { consumer: this.name })
  }
}

/** An entry of a trace message as Apache reads it. */
export interface JavaTrace {
  readonly type: string
  readonly group: string
  readonly success: boolean
  readonly costMs: number
  readonly topic: string
  readonly messageId: string
  readonly keys: string
  readonly tags: string
  readonly bodyLength: number
}

/** Where a group stands in a queue. */
export interface JavaConsumeOffset extends JavaQueue {
  readonly brokerOffset: number
  readonly consumerOffset: number
}

interface Stream {
  readonly received: JavaMessage[]
  readonly watch: Watch
}

interface Waiting {
  readonly done: (answer: Answer) => void
}

/** One Java process with producers, consumers and an admin client of Apache's, shared by many cases. */
export class JavaClient {
  readonly release: Release
  readonly #program: Launched
  readonly #waiting = new Map<number, Waiting>()
  readonly #streams = new Map<string, Stream>()
  /** Messages that brokers asked our Java producers about. */
  readonly checked: JavaMessage[] = []
  readonly #checks = new Watch()
  #rest = ''
  #lastId = 0

  constructor(release: Release, program: Launched) {
    this.release = release
    this.#program = program
    program.onPrinted(text => this.#take(text))
  }

  #take(text: string): void {
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop() ?? ''
    for (const line of lines) if (line.startsWith('@')) this.#line(JSON.parse(line.slice(1)) as Answer)
  }

  #line(answer: Answer): void {
    if (answer.id !== undefined) return this.#waiting.get(answer.id)?.done(answer)
    if (!answer.message) return
    if (answer.event === 'checked') {
      this.checked.push(messageOf(answer.message))
      this.#checks.changed()
    } else if (answer.consumer !== undefined) {
      const stream = this.#stream(answer.consumer)
      stream.received.push(messageOf(answer.message, answer.at))
      stream.watch.changed()
    }
  }

  #stream(consumer: string): Stream {
    let stream = this.#streams.get(consumer)
    if (!stream) this.#streams.set(consumer, (stream = { received: [], watch: new Watch() }))
    return stream
  }

  /** Gives a command and waits for its answer. @throws JavaError if Java throws; Error when the time is up. */
  async ask<T>(command: string, args: object = {}, ms = ANSWER_MS): Promise<T> {
    const id = ++this.#lastId
    const answer = await new Promise<Answer>((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#waiting.delete(id)
        reject(new Error(`Java did not answer ${command} in ${ms} ms:\n${this.#program.tail()}`))
      }, ms)
      const done = (got: Answer) => {
        clearTimeout(timer)
        this.#waiting.delete(id)
        resolve(got)
      }
      this.#waiting.set(id, { done })
      this.#program.write(`${JSON.stringify({ ...args, id, do: command })}\n`)
    })
    const { error } = answer
    if (error) throw new JavaError(error.type, error.message, error.code)
    return answer.result as T
  }

  /** Sends messages one after the other, or as one batch; oneway gives no receipts. */
  send(messages: readonly JavaOutgoing[], how: JavaSend = {}): Promise<JavaReceipt[]> {
    return this.ask('send', { ...how, messages: messages.map(outgoing) })
  }

  /** Sends one message and gives its receipt. */
  async sendOne(message: JavaOutgoing, how: JavaSend = {}): Promise<JavaReceipt> {
    const [receipt] = await this.send([message], how)
    return receipt ?? assert.fail('Java gave no receipt')
  }

  /** Sends in a transaction; the property `check` of the message answers check-backs. */
  transaction(message: JavaOutgoing, local: 'commit' | 'rollback' | 'unknown', group: string): Promise<JavaReceipt> {
    return this.ask('transaction', { producer: { group, transactions: true }, message: outgoing(message), local })
  }

  /** Waits until a broker has asked Java about a message with this body. */
  async untilChecked(text: string, ms = RECEIVED_MS): Promise<void> {
    const isSo = () => this.checked.some(message => message.text === text)
    await this.#checks.until(isSo, ms, () => `Java was not asked about ${text}`)
  }

  async request(message: JavaOutgoing, timeoutMs = 10_000, producer: JavaProducerSettings = {}): Promise<JavaMessage> {
    const reply = await this.ask<WireMessage>('request', { producer, message: outgoing(message), timeoutMs })
    return messageOf(reply)
  }

  /** Calls a timer message back (5.x); gives its id. */
  recall(topic: string, recallHandle: string): Promise<string> {
    return this.ask('recall', { topic, recallHandle })
  }

  /** Starts a push consumer. */
  async consume(owner: Owner, settings: JavaConsumerSettings): Promise<JavaConsumer> {
    const name = `consumer-${++this.#lastId}`
    const { clientId } = await this.ask<{ clientId: string }>('consume', { ...settings, consumer: name })
    const consumer = new JavaConsumer(this, name, clientId, this.#stream(name))
    owner.after(() => consumer.stop().catch(() => {}))
    return consumer
  }

  /** Starts a lite pull consumer. */
  async litePull(owner: Owner, settings: JavaLitePullSettings): Promise<JavaLitePull> {
    const name = `lite-${++this.#lastId}`
    await this.ask('litePull', { ...settings, consumer: name })
    const consumer = new JavaLitePull(this, name)
    owner.after(() => consumer.stop().catch(() => {}))
    return consumer
  }

  /** Makes a topic at the broker of an address. */
  async createTopic(broker: string, topic: string, queues: number): Promise<void> {
    await this.ask('createTopic', { broker, topic, queues })
  }

  async viewMessage(topic: string, messageId: string): Promise<JavaMessage> {
    return messageOf(await this.ask<WireMessage>('viewMessage', { topic, messageId }))
  }

  async queryMessage(topic: string, key: string): Promise<JavaMessage[]> {
    const messages = await this.ask<WireMessage[]>('queryMessage', { topic, key })
    return messages.map(message => messageOf(message))
  }

  consumeOffsets(group: string, topic: string): Promise<JavaConsumeOffset[]> {
    return this.ask('consumeOffsets', { group, topic })
  }

  /** Lets the broker assign a topic's queues to a group by pop (5.x). */
  async setPop(broker: string, topic: string, group: string): Promise<void> {
    await this.ask('setPop', { broker, topic, group })
  }

  traces(text: string): Promise<JavaTrace[]> {
    return this.ask('traces', { text })
  }

  /** Runs a command of mqadmin; gives what it printed. */
  mqadmin(...args: readonly string[]): Promise<string> {
    return this.ask('mqadmin', { args })
  }
}

/** Starts the Java process; it is killed when its owner is done. */
export async function javaClient(
  owner: Owner,
  release: Release,
  nameServers: string,
  flags: readonly string[] = [],
): Promise<JavaClient> {
  const program = await startProgram(owner, release, 'JavaClient', [nameServers], flags)
  const client = new JavaClient(release, program)
  await program.prints(/^@.*"event":"ready"/m, READY_MS)
  return client
}
