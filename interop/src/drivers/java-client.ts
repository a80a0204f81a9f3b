import assert from 'node:assert/strict'
import type { Release } from '../launch/apache.ts'
import { Arrivals } from './arrivals.ts'
import {
  type ConsumerSpec,
  type ConsumedMessage,
  type LitePullSpec,
  type SendSpec,
  type MessageToSend,
  type ProducerSpec,
  type Queue,
  REQUEST_MS,
  type SendResult,
  type LocalTransactionState,
  type ClientUnderTest,
  type ConsumerUnderTest,
  type LitePullUnderTest,
} from './client-under-test.ts'
import type { LaunchedProgram, Owner } from '../launch/launched-program.ts'
import { startProgram } from '../launch/launcher.ts'

const READY_MS = 60_000
const ANSWER_MS = 45_000
const TAKE_MS = 75_000
const POLL_MS = 500

/** A received message with what only Java's driver reports. */
export interface JavaMessage extends ConsumedMessage {
  readonly sysFlag: number
  /** Its size in the store, bytes. */
  readonly storeSize: number
  readonly bodyCrc: number
  readonly bornHost: string
}

export interface JavaHeldQueue extends Queue {
  readonly locked?: boolean
  readonly pop?: boolean
}

/** An error that the Java client threw. */
export class JavaError extends Error {
  readonly type: string
  /** The response code of the broker or of Java's client; -1 if there is none. */
  readonly responseCode: number

  constructor(type: string, message: string, responseCode: number) {
    super(`${type}: ${message}`)
    this.type = type
    this.responseCode = responseCode
  }
}

type WireMessage = Omit<JavaMessage, 'body' | 'text' | 'at'> & { readonly body?: string }

interface OutputLine {
  readonly id?: number
  readonly result?: unknown
  readonly error?: { readonly type: string; readonly message: string; readonly code: number }
  readonly event?: string
  readonly consumer?: string
  readonly message?: WireMessage
  readonly at?: number
  readonly reason?: string
}

function messageOf(wire: WireMessage, at = 0): JavaMessage {
  const body = Buffer.from(wire.body ?? '', 'base64')
  return { ...wire, body, text: body.toString(), at }
}

function outgoing({ delayMs, body, ...message }: MessageToSend): object {
  // A reserved property; only Java's client of 5.x has a method for it.
  const system = delayMs === undefined ? {} : { TIMER_DELAY_MS: String(delayMs) }
  return { ...message, system, body: Buffer.from(body).toString('base64') }
}

/** A push consumer in the Java process. */
export class JavaConsumer implements ConsumerUnderTest {
  readonly name: string
  readonly clientId: string
  readonly received: Arrivals<JavaMessage>
  readonly #java: JavaClient

  constructor(java: JavaClient, name: string, clientId: string, received: Arrivals<JavaMessage>) {
    this.#java = java
    this.name = name
    this.clientId = clientId
    this.received = received
  }

  queues(): Promise<readonly JavaHeldQueue[]> {
    return this.#java.ask<JavaHeldQueue[]>('queues', { consumer: this.name })
  }

  async suspend(): Promise<void> {
    await this.#java.ask('suspend', { consumer: this.name })
  }

  async resume(): Promise<void> {
    await this.#java.ask('resume', { consumer: this.name })
  }

  async stop(): Promise<void> {
    await this.#java.ask('stopConsumer', { consumer: this.name })
  }
}

/** A lite pull consumer in the Java process. */
export class JavaLitePull implements LitePullUnderTest {
  readonly name: string
  readonly #java: JavaClient

  constructor(java: JavaClient, name: string) {
    this.#java = java
    this.name = name
  }

  async poll(timeoutMs = POLL_MS): Promise<JavaMessage[]> {
    const messages = await this.#java.ask<WireMessage[]>('poll', { consumer: this.name, timeoutMs })
    return messages.map(message => messageOf(message))
  }

  async take(count: number): Promise<JavaMessage[]> {
    const end = Date.now() + TAKE_MS
    const taken: JavaMessage[] = []
    while (taken.length < count) {
      if (Date.now() > end) assert.fail(`Java polled only ${taken.length} of ${count} in ${TAKE_MS} ms`)
      taken.push(...(await this.poll()))
    }
    return taken
  }

  assignment(): Promise<Queue[]> {
    return this.#java.ask('assignment', { consumer: this.name })
  }

  async commit(): Promise<void> {
    await this.#java.ask('commit', { consumer: this.name })
  }

  committed(queue: Queue): Promise<number> {
    return this.#java.ask('committed', { consumer: this.name, queue })
  }

  async seek(queue: Queue, offset: number): Promise<void> {
    await this.#java.ask('seek', { consumer: this.name, queue, offset })
  }

  async stop(): Promise<void> {
    await this.#java.ask('stopLitePull', { consumer: this.name })
  }
}

/** An entry of a trace message, as Apache decodes it. */
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

/** A group's offset in a queue. */
export interface JavaConsumeOffset extends Queue {
  readonly brokerOffset: number
  readonly consumerOffset: number
}

/** Stops a consumer without waiting: Java takes a second for it, and no two cases share a group. */
function stopAfter(owner: Owner, consumer: { stop(): Promise<void> }): void {
  owner.after(async () => void consumer.stop().catch(() => {}))
}

/** Drives a Java process with Apache's producers, consumers and admin client. Many cases share it. */
export class JavaClient implements ClientUnderTest {
  readonly name = 'Java'
  readonly release: Release
  /** Messages of transactions that brokers have checked at the Java producers. */
  readonly checked = new Arrivals<JavaMessage>('Java, in check-backs,')
  readonly #program: LaunchedProgram
  readonly #waiting = new Map<number, (line: OutputLine) => void>()
  readonly #arrivals = new Map<string, Arrivals<JavaMessage>>()
  /** Why its consumers could not send replies. */
  readonly #replyFailures: string[] = []
  #rest = ''
  #lastId = 0

  constructor(release: Release, program: LaunchedProgram) {
    this.release = release
    this.#program = program
    program.onPrinted(text => this.#take(text))
    void program.over.then(() => this.#end())
  }

  /** Fails the commands that wait for an answer. */
  #end(): void {
    const error = { type: 'Ended', message: `the Java process has ended:\n${this.#program.tail()}`, code: -1 }
    for (const answer of this.#waiting.values()) answer({ error })
  }

  #take(text: string): void {
    const lines = (this.#rest + text).split('\n')
    this.#rest = lines.pop() ?? ''
    for (const line of lines) if (line.startsWith('@')) this.#line(JSON.parse(line.slice(1)) as OutputLine)
  }

  #line({ id, event, consumer, message, at, reason, ...line }: OutputLine): void {
    if (id !== undefined) this.#waiting.get(id)?.(line)
    else if (event === 'replyFailed') this.#replyFailures.push(String(reason))
    else if (message && event === 'checked') this.checked.add(messageOf(message))
    else if (message && consumer !== undefined) this.#arrivalsOf(consumer).add(messageOf(message, at))
  }

  #arrivalsOf(consumer: string): Arrivals<JavaMessage> {
    let arrivals = this.#arrivals.get(consumer)
    if (!arrivals) this.#arrivals.set(consumer, (arrivals = new Arrivals(`Java's ${consumer}`)))
    return arrivals
  }

  /** Sends a command and waits for its answer. @throws JavaError if Java throws, Error if the time passes first */
  async ask<T>(command: string, args: object = {}, ms = ANSWER_MS): Promise<T> {
    const { error, result } = await this.#command(command, args, ms)
    if (error) throw new JavaError(error.type, error.message, error.code)
    return result as T
  }

  #command(command: string, args: object, ms: number): Promise<OutputLine> {
    const id = ++this.#lastId
    return new Promise((resolve, reject) => {
      const done = (end: () => void) => {
        clearTimeout(timer)
        this.#waiting.delete(id)
        end()
      }
      const silent = () => reject(new Error(`Java did not answer ${command} in ${ms} ms:\n${this.#program.tail()}`))
      const timer = setTimeout(() => done(silent), ms)
      this.#waiting.set(id, line => done(() => resolve(line)))
      this.#program.write(`${JSON.stringify({ ...args, id, do: command })}\n`)
    })
  }

  /** Sends messages one after the other or as one batch. Mode `oneway` returns no receipts. */
  send(messages: readonly MessageToSend[], settings: SendSpec = {}): Promise<SendResult[]> {
    return this.ask('send', { ...settings, messages: messages.map(outgoing) })
  }

  transaction(message: MessageToSend, local: LocalTransactionState, group: string): Promise<SendResult> {
    return this.ask('transaction', { producer: { group, transactions: true }, message: outgoing(message), local })
  }

  async request(message: MessageToSend, group: string): Promise<string> {
    const args = { producer: { group }, message: outgoing(message), timeoutMs: REQUEST_MS }
    try {
      return messageOf(await this.ask<WireMessage>('request', args)).text
    } catch (error) {
      const [failure = 'no reply from Java failed'] = this.#replyFailures
      const wasReceived = [...this.#arrivals.values()].some(({ all }) =>
        all.some(received => received.topic === message.topic),
      )
      const received = wasReceived ? 'a Java consumer received it' : 'no Java consumer received it'
      throw new Error(`the request failed (${received}, ${failure})`, { cause: error })
    }
  }

  /** The folder in which its broadcasting consumers store offsets. */
  offsetsFolder(): Promise<string> {
    return this.ask('offsetsFolder')
  }

  async recall(topic: string, recallHandle: string): Promise<void> {
    await this.ask('recall', { topic, recallHandle })
  }

  async consume(owner: Owner, settings: ConsumerSpec): Promise<JavaConsumer> {
    const name = `consumer-${++this.#lastId}`
    const { clientId } = await this.ask<{ clientId: string }>('consume', { ...settings, consumer: name })
    const consumer = new JavaConsumer(this, name, clientId, this.#arrivalsOf(name))
    stopAfter(owner, consumer)
    return consumer
  }

  async litePull(owner: Owner, settings: LitePullSpec): Promise<JavaLitePull> {
    const name = `lite-${++this.#lastId}`
    await this.ask('litePull', { ...settings, consumer: name })
    const consumer = new JavaLitePull(this, name)
    stopAfter(owner, consumer)
    return consumer
  }

  /** Stops the producer with these settings; the next use starts another one. */
  async stopProducer(producer: ProducerSpec): Promise<void> {
    await this.ask('stopProducer', { producer })
  }

  /** Creates a topic on the broker with this address. */
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

  /** Makes the broker assign a topic's queues to a group in pop mode (5.x). */
  async setPop(broker: string, topic: string, group: string): Promise<void> {
    await this.ask('setPop', { broker, topic, group })
  }

  /** Decodes the text of a trace message. */
  traces(text: string): Promise<JavaTrace[]> {
    return this.ask('traces', { text })
  }

  /** Runs a command of mqadmin and returns its output. */
  mqadmin(...args: readonly string[]): Promise<string> {
    return this.ask('mqadmin', { args })
  }
}

/** Starts the Java process. It is killed when its owner has finished. */
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
