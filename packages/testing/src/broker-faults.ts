import { consumeRequests, pullFlags, requestNames } from '@gantrymq/protocol'
import { type Command, nearestWord, RemotingError } from '@gantrymq/remoting'
import { checkKeys } from './check-keys.ts'
import type { Fault, FaultyAnswer, Faults, SeenRequest } from './gateway/faults.ts'

const { LITE_PULL_MESSAGE, PULL_MESSAGE } = consumeRequests

/** How many requests meet a fault, and from which on. */
export interface FaultLimits {
  /** How many requests meet it. Default 1. */
  readonly times?: number
  /** How many pass before. Default 0. */
  readonly after?: number
}

export interface RefusalOptions extends FaultLimits {
  /** RocketMQ's response code, for example 2, SYSTEM_BUSY. Default 1, SYSTEM_ERROR. */
  readonly code?: number
  /** The text of the answer. */
  readonly remark?: string
}

export interface DelayOptions extends FaultLimits {
  /** How much later the answer comes, milliseconds of the clock that `advance` moves. */
  readonly ms: number
}

/** What the broker answers, to be changed. */
export type AlterAnswer = (answer: Command, request: SeenRequest) => Command

/** What goes wrong at the broker. Requests have RocketMQ's names: SEND_MESSAGE stands for all forms of sending. */
export class BrokerFaults {
  readonly #faults: Faults

  /** @internal */
  constructor(faults: Faults) {
    this.#faults = faults
  }

  /** The broker refuses the next requests, and does nothing for them. @throws RemotingError BAD_OPTION for an unknown name */
  next(request: string, { code = 1, remark = 'refused on purpose', ...limits }: RefusalOptions = {}): void {
    checkNumber('code', code, -0x8000_0000, 0x7fff_ffff)
    this.#set(request, { answer: 'code', code, remark }, limits)
  }

  /**
   * The broker never answers the next requests, and does nothing for them. One-way requests are lost. While it is
   * UPDATE_CONSUMER_OFFSET that hangs or is refused, pulls commit nothing either.
   */
  hang(request: string, limits: FaultLimits = {}): void {
    this.#set(request, { answer: 'never' }, { ...limits, handled: false })
  }

  /** The broker does what the next requests ask, but its answers are lost. */
  loseAnswer(request: string, limits: FaultLimits = {}): void {
    this.#set(request, { answer: 'never' }, limits)
  }

  /** The broker does what the next requests ask, and answers later. */
  delay(request: string, { ms, ...limits }: DelayOptions): void {
    checkNumber('ms', ms, 0)
    this.#set(request, { answer: 'late', ms }, limits)
  }

  /** The broker does what the next requests ask, and ends the connection instead of answering. */
  hangUp(request: string, limits: FaultLimits = {}): void {
    this.#set(request, { answer: 'hang-up' }, limits)
  }

  /** The broker does what the next requests ask, and its answers are changed on their way. */
  alter(request: string, alter: AlterAnswer, limits: FaultLimits = {}): void {
    if (typeof alter !== 'function') throw new RemotingError('BAD_OPTION', 'the answer is altered by a function')
    this.#set(request, { answer: 'altered', alter }, limits)
  }

  /** Nothing goes wrong any more. */
  clear(): void {
    this.#faults.clear()
  }

  #set(request: string, answer: FaultyAnswer, limits: Pick<Fault, 'after' | 'handled' | 'times'>): void {
    const { times = 1, after = 0 } = limits
    checkKeys('a fault', limits, ['after', 'times', 'handled'])
    if (times !== Number.POSITIVE_INFINITY) checkNumber('times', times, 1)
    checkNumber('after', after, 0)
    this.#faults.set(namesOf(request), { ...answer, ...limits })
  }
}

/** A pull commits the offset of its queue, too: it must not while commits are lost. */
export function withoutLostCommit(command: Command, faults: Faults): Command {
  const { code, extFields } = command
  if (code !== PULL_MESSAGE.code && code !== LITE_PULL_MESSAGE.code) return command
  const sysFlag = Number(extFields?.get('sysFlag'))
  if ((sysFlag & pullFlags.commitOffset) === 0 || !faults.keepsBack('UPDATE_CONSUMER_OFFSET')) return command
  const fields = new Map(extFields).set('sysFlag', String(sysFlag & ~pullFlags.commitOffset))
  return { ...command, extFields: fields }
}

/** Forms of one request that clients choose between. */
const FORMS: Readonly<Record<string, readonly string[]>> = {
  SEND_MESSAGE: ['SEND_MESSAGE', 'SEND_MESSAGE_V2', 'SEND_BATCH_MESSAGE'],
  PULL_MESSAGE: ['PULL_MESSAGE', 'LITE_PULL_MESSAGE'],
}

function namesOf(request: string): readonly string[] {
  const known = new Set(requestNames.values())
  if (!known.has(request)) {
    const nearest = nearestWord(request, known.keys())
    const meant = nearest === undefined ? '; docs/protocol.md lists all' : `; did you mean ${nearest}?`
    throw new RemotingError('BAD_OPTION', `there is no request ${JSON.stringify(request)}${meant}`)
  }
  return FORMS[request] ?? [request]
}

function checkNumber(name: string, value: number, least: number, most = Number.MAX_SAFE_INTEGER): void {
  if (Number.isInteger(value) && value >= least && value <= most) return
  const range = least < 0 ? '' : ` of ${least} or more`
  throw new RemotingError('BAD_OPTION', `${name} is ${String(value)}: it must be a whole number${range}`)
}
