import { encodeTopicRoute, type TopicRoute } from '@gantrymq/protocol'
import type { Dialect } from '@gantrymq/remoting'
import type { RouteTable } from '../registry/route-table.ts'
import { InternedRoutes } from './interned-routes.ts'
import { isSyncTopic } from '../registry/topic-route.ts'
import type { LiveTopic } from '../registry/topic.ts'

/** The encoded route of a topic, in the dialects that were asked for, and when it was true. */
export interface RouteBody {
  readonly topic: LiveTopic
  readonly revision: number
  readonly epoch: number
  readonly settings: unknown
  readonly bytes: { [D in Dialect]?: Buffer }
}

/**
 * Most bytes of bodies kept. With few brokers this is every topic many times over; with hundreds of brokers a body has
 * tens of kilobytes, and keeping all of them would cost more memory than encoding costs time.
 */
const MAX_KEPT = 64 << 20
/** Topics that have gone may be remembered up to this many and as many as there are. */
const SPARE = 1000

/**
 * Encoded routes, so that a route is encoded once and not at every query.
 *
 * Nothing here is told of changes. A body is good while the topic's revision, the table's epoch and `settings` are what
 * they were when it was encoded; whoever asks compares three values. So a stale answer cannot come from a forgotten
 * notice.
 */
export class RouteBodies {
  readonly #table: RouteTable
  readonly #settings: () => unknown
  /** Adds to a route what the table does not know. */
  readonly complete: (route: TopicRoute, topic: string) => TopicRoute
  readonly #kept = new Map<string, RouteBody>()
  readonly #same = new InternedRoutes()
  #epoch = -1
  #lastSettings: unknown
  #size = 0
  #generation = 0

  /**
   * @param settings Identity of everything else that a route depends on; changes when any of it does.
   * @param complete Adds what the table does not know: the order configuration.
   */
  constructor(
    table: RouteTable,
    settings: () => unknown,
    complete: (route: TopicRoute, topic: string) => TopicRoute = route => route,
  ) {
    this.#table = table
    this.#settings = settings
    this.complete = complete
  }

  /** Grows when bodies were dropped for room; whoever keeps some of them drops them then, too. */
  get generation(): number {
    return this.#generation
  }

  isGood(body: RouteBody): boolean {
    return (
      body.revision === body.topic.revision && body.epoch === this.#table.epoch && body.settings === this.#settings()
    )
  }

  /** The bodies of a topic, with the wanted dialect in them; undefined for an unknown topic. */
  find(name: string, dialect: Dialect): RouteBody | undefined {
    const kept = this.#kept.get(name)
    const body = kept && this.isGood(kept) ? kept : this.#begin(name)
    if (body === undefined || body.bytes[dialect] !== undefined) return body
    const route = this.#table.routeOf(name)
    if (route === undefined) return undefined
    const bytes = encodeTopicRoute(this.complete(route, name), dialect)
    this.#makeRoom(bytes.length)
    body.bytes[dialect] = bytes
    return body
  }

  #begin(name: string): RouteBody | undefined {
    this.#kept.delete(name)
    const topic = this.#table.topics.get(name)
    if (topic === undefined) return undefined
    if (this.#kept.size > 2 * this.#table.topics.size + SPARE) this.#forget()
    const { epoch } = this.#table
    const settings = this.#settings()
    if (epoch !== this.#epoch || settings !== this.#lastSettings) this.#same.clear()
    this.#epoch = epoch
    this.#lastSettings = settings
    // With an order configuration of its own, with mappings or a name that the table treats apart, a route is its own.
    const isOrdinary = settings === undefined && topic.mappings.size === 0 && !isSyncTopic(name)
    const body = { topic, revision: topic.revision, epoch, settings, bytes: isOrdinary ? this.#same.of(topic) : {} }
    this.#kept.set(name, body)
    return body
  }

  /** Bodies of topics that are gone are counted until then, which only makes it happen earlier. */
  #makeRoom(size: number): void {
    this.#size += size
    if (this.#size <= MAX_KEPT) return
    this.#forget()
    this.#size = size
  }

  #forget(): void {
    this.#kept.clear()
    this.#same.clear()
    this.#generation++
    this.#size = 0
  }
}
