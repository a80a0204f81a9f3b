import { type Clock, type HttpAnswer, within } from '@gantrymq/remoting'
import type { Deadline } from '../deadline.ts'

/** Why clients cannot use a topic, in a name server's words. */
export interface RouteReason {
  /** The name server that explains. */
  readonly address: string
  /** Stable, such as NO_MASTER; FOUND if the name server sees nothing wrong. */
  readonly code: string
  readonly message: string
  /** What to do, most likely cause first. */
  readonly hints: readonly string[]
}

export interface RouteReasonsOptions {
  readonly client: {
    httpGet(address: string, path: string, options: { readonly timeoutMs: number }): Promise<HttpAnswer | undefined>
  }
  readonly clock: Clock
  /** The zone whose brokers this client gets; empty if it gets all. */
  readonly zone: string
}

/** How long a name server has to explain, milliseconds, which is how long an explanation may delay an error. */
const LONGEST_MS = 1000
/** How long an answer counts for further failures of the same topic, milliseconds. */
const FRESH_MS = 2000
/** How long a server that did not explain is not asked again, milliseconds: Apache's name servers do not serve HTTP. */
const SILENT_MS = 60_000
/** Answers that are kept. */
const MOST = 1000

interface Kept {
  readonly at: number
  readonly reason: Promise<RouteReason | undefined>
}

/** Asks name servers why there is no usable route of a topic: Gantry's answer on the HTTP side of their port. */
export class RouteReasons {
  readonly #options: RouteReasonsOptions
  readonly #kept = new Map<string, Kept>()
  /** Until when a server is not asked, by `Clock.elapsed`. */
  readonly #silent = new Map<string, number>()

  constructor(options: RouteReasonsOptions) {
    this.#options = options
  }

  /** The reason, asked within the time that is left. Undefined if the name server does not tell. Never rejects. */
  async ask(address: string | undefined, topic: string, deadline: Deadline): Promise<RouteReason | undefined> {
    const now = this.#options.clock.elapsed()
    if (address === undefined || deadline.left <= 0 || deadline.signal?.aborted === true) return undefined
    const kept = this.#kept.get(topic)
    if (kept !== undefined && now - kept.at < FRESH_MS) return await this.#within(kept.reason, deadline)
    if (now < (this.#silent.get(address) ?? 0)) return undefined
    const reason = this.#get(address, topic)
    if (this.#kept.size >= MOST) this.#kept.clear()
    this.#kept.set(topic, { at: now, reason })
    return await this.#within(reason, deadline)
  }

  // A caller that gives up does not end the question: others wait for the answer too.
  async #within(reason: Promise<RouteReason | undefined>, { left, signal }: Deadline) {
    const limit = { timeoutMs: left, signal }
    return await within(this.#options.clock, reason, limit, 'the reason').catch(() => undefined)
  }

  /** Never rejects. */
  async #get(address: string, topic: string): Promise<RouteReason | undefined> {
    const { client, clock, zone } = this.#options
    const query = zone === '' ? '' : `?zone=${encodeURIComponent(zone)}`
    const path = `/api/v1/topics/${encodeURIComponent(topic)}/why${query}`
    const answer = await client.httpGet(address, path, { timeoutMs: LONGEST_MS })
    const reason = answer?.status === 200 ? readReason(address, answer.body) : undefined
    if (reason !== undefined) this.#silent.delete(address)
    else this.#silent.set(address, clock.elapsed() + SILENT_MS)
    return reason
  }
}

function readReason(address: string, body: string): RouteReason | undefined {
  try {
    const { code, message, hints } = JSON.parse(body) as { readonly [K in keyof RouteReason]?: unknown }
    if (typeof code !== 'string' || typeof message !== 'string' || !Array.isArray(hints)) return undefined
    return { address, code, message, hints: hints.filter(hint => typeof hint === 'string') }
  } catch {
    return undefined
  }
}

/** How many hints an error quotes. */
const QUOTED = 3

/** The reason as part of an error's message. */
export function reasonText({ address, message, hints }: RouteReason): string {
  return `The name server ${address} explains: ${[message, ...hints.slice(0, QUOTED)].join(' ')}`
}
