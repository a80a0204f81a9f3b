import { encodeTopicRoute, type TopicRoute } from '@gantrymq/protocol'
import type { Dialect } from '@gantrymq/remoting'
import type { RouteTable } from '../registry/route-table.ts'
import { InternedRoutes } from './interned-routes.ts'
import { isSyncTopic } from '../registry/topic-route.ts'
import type { LiveTopic } from '../registry/topic.ts'

/** The encoded route of a topic in the dialects requested so far, and the state for which it is valid. */
export interface RouteBody {
  readonly topic: LiveTopic
  readonly revision: number
  readonly epoch: number
  readonly settings: unknown
  readonly bytes: { [D in Dialect]?: Buffer }
}

/**
 * Most bytes of bodies kept. With few brokers this is far more than all topics need. With hundreds of brokers a body has
 * tens of kilobytes, and keeping all bodies would take more memory than the saved encoding is worth.
 */
const MAX_KEPT = 64 << 20
/** All bodies are dropped when they are this many more than twice the topics, because topics were deleted. */
const SPARE = 1000

/**
 * A cache of encoded routes: a route is encoded once and not at every query.
 *
 * No part of the server notifies the cache of changes. A body is valid while the topic's revision, the table's epoch and
 * `settings` are what they were when it was encoded, and each lookup compares these three values. So a forgotten
 * notification cannot cause a stale answer.
 */
export class RouteBodies {
  readonly #table: RouteTable
  readonly #settings: () => unknown
  /** Adds to a route what the table does not know. */
  readonly complete: (route: TopicRoute, topic: string) => TopicRoute
  readonly #kept = new Map<string, RouteBody>()
  readonly #interned = new InternedRoutes()
  #epoch = -1
  #lastSettings: unknown
  #size = 0
  #generation = 0

  /**
   * @param settings Returns a value that changes whenever anything else that a route depends on changes.
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

  /** Grows when bodies are dropped to make room. A caller that keeps bodies must drop them then, too. */
  get generation(): number {
    return this.#generation
  }

  isValid(body: RouteBody): boolean {
    return (
      body.revision === body.topic.revision && body.epoch === this.#table.epoch && body.settings === this.#settings()
    )
  }

  /** The body of a topic, encoded in at least this dialect; undefined for an unknown topic. */
  find(name: string, dialect: Dialect): RouteBody | undefined {
    const kept = this.#kept.get(name)
    const body = kept && this.isValid(kept) ? kept : this.#begin(name)
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
    if (topic === undefined || !topic.isLive) return undefined
    if (this.#kept.size > 2 * this.#table.topics.size + SPARE) this.#forget()
    const { epoch } = this.#table
    const settings = this.#settings()
    if (epoch !== this.#epoch || settings !== this.#lastSettings) this.#interned.clear()
    this.#epoch = epoch
    this.#lastSettings = settings
    // An order configuration, mappings or a special name make the route of a topic different from all others.
    const isOrdinary = settings === undefined && topic.mappings.size === 0 && !isSyncTopic(name)
    const body = { topic, revision: topic.revision, epoch, settings, bytes: isOrdinary ? this.#interned.of(topic) : {} }
    this.#kept.set(name, body)
    return body
  }

  /** Bodies of deleted topics count until all bodies are dropped, which only makes that happen earlier. */
  #makeRoom(size: number): void {
    this.#size += size
    if (this.#size <= MAX_KEPT) return
    this.#forget()
    this.#size = size
  }

  #forget(): void {
    this.#kept.clear()
    this.#interned.clear()
    this.#generation++
    this.#size = 0
  }
}
