import { requestNames } from '@gantrymq/protocol'
import { type Command, type Eventual, held, nearestWord, type ReplyParts, RemotingError } from '@gantrymq/remoting'

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

type Effect = (dispatch: () => Eventual<ReplyParts>) => Eventual<ReplyParts>

interface StandingFault {
  readonly codes: ReadonlySet<number>
  readonly effect: Effect
  passing: number
  left: number
}

/** What goes wrong at the broker. Requests have RocketMQ's names: SEND_MESSAGE stands for all forms of sending. */
export class BrokerFaults {
  #faults: StandingFault[] = []

  /** The broker refuses the next requests, and does nothing for them. @throws RemotingError BAD_OPTION for an unknown name */
  next(request: string, { code = 1, remark = 'refused on purpose', ...limits }: RefusalOptions = {}): void {
    this.#add(request, limits, () => ({ code, remark }))
  }

  /** The broker never answers the next requests, and does nothing for them. With one-way requests they are lost. */
  hang(request: string, limits: FaultLimits = {}): void {
    this.#add(request, limits, () => held(new Promise<never>(() => {})))
  }

  /** The broker does what the next requests ask, but its answers are lost. */
  loseAnswer(request: string, limits: FaultLimits = {}): void {
    this.#add(request, limits, dispatch => {
      void dispatch()
      return held(new Promise<never>(() => {}))
    })
  }

  /** Nothing goes wrong any more. */
  clear(): void {
    this.#faults = []
  }

  /** @internal */
  answer({ code }: Command, dispatch: () => Eventual<ReplyParts>): Eventual<ReplyParts> {
    const fault = this.#faults.find(each => each.left > 0 && each.codes.has(code))
    if (fault === undefined) return dispatch()
    if (fault.passing > 0) {
      fault.passing--
      return dispatch()
    }
    fault.left--
    return fault.effect(dispatch)
  }

  #add(request: string, { times = 1, after = 0 }: FaultLimits, effect: Effect): void {
    this.#faults.push({ codes: codesOf(request), effect, passing: after, left: times })
  }
}

/** Forms of one request that clients choose between. */
const FORMS: Readonly<Record<string, readonly string[]>> = {
  SEND_MESSAGE: ['SEND_MESSAGE', 'SEND_MESSAGE_V2', 'SEND_BATCH_MESSAGE'],
  PULL_MESSAGE: ['PULL_MESSAGE', 'LITE_PULL_MESSAGE'],
}

function codesOf(request: string): ReadonlySet<number> {
  const byName = new Map([...requestNames].map(([code, name]) => [name, code]))
  const codes = (FORMS[request] ?? [request]).map(name => {
    const code = byName.get(name)
    if (code !== undefined) return code
    const nearest = nearestWord(name, byName.keys())
    const meant = nearest === undefined ? '' : `; did you mean ${nearest}?`
    throw new RemotingError('BAD_OPTION', `there is no request ${JSON.stringify(name)}${meant}`)
  })
  return new Set(codes)
}
