import { readMessages, unwrapNamespace } from '@gantrymq/protocol'
import type { Codec } from '../message/codec.ts'
import { ReceivedMessage } from '../message/received-message.ts'
import { within } from '../deadline.ts'
import type { TransactionCheck } from '../instance/instance-members.ts'
import type { Sender } from './send-loop.ts'
import { type CheckTransaction, reasonOf, stateOf, sendOutcome, type TransactionState } from './transactions.ts'

/** Concurrent checks: enough that one that hangs does not block the others. */
const AT_A_TIME = 4
/** A check that takes longer counts as `unknown`, milliseconds: by then the broker asks again. */
const CHECK_MS = 60_000

/** Answers brokers' questions about half messages. The queue is bounded; a broker asks again about those that are dropped. */
export class TransactionChecks<Body> {
  readonly #sender: Sender
  readonly #codec: Codec<Body>
  readonly #ask: CheckTransaction<Body> | undefined
  #waiting: (() => Promise<void>)[] = []
  #running = 0
  #closed = false

  constructor(sender: Sender, codec: Codec<Body>, ask: CheckTransaction<Body> | undefined) {
    this.#sender = sender
    this.#codec = codec
    this.#ask = ask
  }

  /** False without option checkTransaction. */
  get isPossible(): boolean {
    return this.#ask !== undefined
  }

  /** False if the message is of another group, or without option checkTransaction: another producer of the group may know. */
  take(check: TransactionCheck): boolean {
    const { instance, group, settings } = this.#sender
    const ask = this.#ask
    const message = this.#read(check)
    if (message === undefined || message.property('PGROUP') !== group || ask === undefined || this.#closed) return false
    if (this.#waiting.length >= settings.maxTransactionChecks) {
      const facts = { group, messageId: message.messageId }
      instance.log.warn(facts, 'transaction check dropped: too many are waiting')
      return true
    }
    this.#waiting.push(() => this.#answer(check, message, ask))
    this.#next()
    return true
  }

  close(): void {
    this.#closed = true
    this.#waiting = []
  }

  #read({ message, brokerName = '', address }: TransactionCheck): ReceivedMessage<Body> | undefined {
    const { log } = this.#sender.instance
    const { namespace } = this.#sender.settings
    const corrupt = ({ reason }: { readonly reason: string }): void => {
      log.warn({ address, reason }, 'transaction check with an unreadable message')
    }
    // A broker rewrites a half message without updating its CRC (TransactionalMessageUtil).
    const [view] = readMessages(message, corrupt, { checkCrc: false })
    if (view === undefined) return undefined
    const queue = { topic: unwrapNamespace(namespace, view.topic), brokerName, queueId: view.queueId }
    return new ReceivedMessage(view, queue, { namespace, codec: this.#codec })
  }

  #next(): void {
    while (this.#running < AT_A_TIME) {
      const work = this.#waiting.shift()
      if (work === undefined) return
      this.#running++
      void work().finally(() => {
        this.#running--
        this.#next()
      })
    }
  }

  async #answer(check: TransactionCheck, message: ReceivedMessage<Body>, ask: CheckTransaction<Body>): Promise<void> {
    const { clock } = this.#sender.instance
    let state: TransactionState = 'unknown'
    let remark: string | null = null
    try {
      state = stateOf(await within(clock, asked(ask, message), CHECK_MS, undefined, 'option checkTransaction'))
    } catch (error) {
      remark = `checkLocalTransactionState Exception: ${reasonOf(error)}`
      this.#sender.instance.log.warn(
        { messageId: message.messageId, error: reasonOf(error) },
        'transaction check failed',
      )
    }
    if (this.#closed) return
    const { address, brokerName, tranStateTableOffset, commitLogOffset, transactionId } = check
    const from = { address, brokerName, tranStateTableOffset, commitLogOffset, transactionId }
    const topic = check.topic ?? message.view.topic
    const { messageId, tags } = message
    const labels = { tags, keys: message.property('KEYS'), region: message.property('MSG_REGION') }
    await sendOutcome(this.#sender, { ...from, ...labels, topic, messageId, fromCheck: true, state, remark })
  }
}

// Also turns what the user's function throws synchronously into a rejection.
async function asked<Body>(ask: CheckTransaction<Body>, message: ReceivedMessage<Body>): Promise<TransactionState> {
  return await ask(message)
}
