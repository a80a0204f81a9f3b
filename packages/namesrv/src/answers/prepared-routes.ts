import {
  type FastConnection,
  type FastPath,
  type Dialect,
  type HeaderView,
  NOT_TAKEN,
  type Outbox,
  ReplyTemplate,
  type SerializeType,
  SUCCESS,
} from '@gantrymq/remoting'
import type { RouteBodies, RouteBody } from './route-bodies.ts'

/** GET_ROUTEINFO_BY_TOPIC. */
const ROUTE_QUERY = 105

/** Callers of this release and later get standard JSON: V4_9_4 (Apache's ClientRequestProcessor). */
export const STANDARD_JSON_VERSION = 401

/** A reply without its opaque, which each request adds. */
interface PreparedReply {
  readonly name: Buffer
  readonly body: RouteBody
  readonly bytes: Buffer
}

/** Larger replies go to the socket as they are; smaller ones are copied behind the other replies to the same read. */
const COPY_LIMIT = 16 * 1024

const header = new ReplyTemplate({})

/**
 * The fast path of a name server: it answers a route query from the bytes of its frame. Nine of ten requests are route
 * queries, and the router would spend most of their time on strings, maps and JSON that are never used.
 *
 * It answers only queries that are sure to succeed; all others go through the router. Both take the body from the same
 * RouteBodies, so both give the same answer.
 */
export class PreparedRoutes implements FastPath {
  readonly #bodies: RouteBodies
  readonly #isReady: () => boolean
  readonly #onAnswer: (bodyBytes: number) => void
  /** By hash of the topic's bytes; of two topics with one hash the later is kept. One map per dialect. */
  readonly #replies: { readonly [D in Dialect]: Map<number, PreparedReply> } = {
    fastjson: new Map(),
    standard: new Map(),
  }
  #generation = 0

  /**
   * @param isReady Whether route queries are answered at all (needWaitForService).
   * @param onAnswer Called with the size of the body of each answer.
   */
  constructor(bodies: RouteBodies, isReady: () => boolean, onAnswer: (bodyBytes: number) => void = () => {}) {
    this.#bodies = bodies
    this.#isReady = isReady
    this.#onAnswer = onAnswer
  }

  take(view: HeaderView, { outbox }: FastConnection): number {
    if (view.code !== ROUTE_QUERY) return NOT_TAKEN
    const { bytes, spans, escapes } = view
    let start = -1
    let end = -1
    let dialect: Dialect = view.version >= STANDARD_JSON_VERSION ? 'standard' : 'fastjson'
    for (let at = 0; at < view.fieldCount * 4; at += 4) {
      const key = spans[at] as number
      const length = (spans[at + 1] as number) - key
      if (length === 5 && bytes[key] === 0x74) {
        if (!isTopic(bytes, key) || escapes[at >> 2] === 1) return NOT_TAKEN
        start = spans[at + 2] as number
        end = spans[at + 3] as number
      } else if (length === 22) {
        // acceptStandardJsonOnly: the router reads its value.
        if (dialect === 'fastjson') return NOT_TAKEN
      } else if (bytes[key] === 0x5f) return NOT_TAKEN // __ZONE_MODE, __ZONE_NAME: the router filters the answer.
    }
    if (end <= start || !this.#isReady()) return NOT_TAKEN
    const reply = this.#find(bytes, start, end, dialect)
    if (reply === undefined) return NOT_TAKEN
    this.#onAnswer(reply.bytes.length)
    write(reply, view.serializeType, view.opaque, outbox)
    return SUCCESS
  }

  #find(bytes: Buffer, start: number, end: number, dialect: Dialect): PreparedReply | undefined {
    if (this.#generation !== this.#bodies.generation) this.#forget()
    let hash = 0
    for (let at = start; at < end; at++) hash = (Math.imul(hash, 31) + (bytes[at] as number)) & 0x3fffffff
    const replies = this.#replies[dialect]
    const reply = replies.get(hash)
    if (reply !== undefined && isSame(reply.name, bytes, start, end) && this.#bodies.isValid(reply.body)) return reply
    const fresh = this.#prepare(bytes.subarray(start, end), dialect)
    if (fresh === undefined) replies.delete(hash)
    else replies.set(hash, fresh)
    return fresh
  }

  #prepare(name: Buffer, dialect: Dialect): PreparedReply | undefined {
    const body = this.#bodies.find(name.toString(), dialect)
    const bytes = body?.bytes[dialect]
    if (body === undefined || bytes === undefined) return undefined
    return { name: Buffer.from(name), body, bytes }
  }

  #forget(): void {
    this.#generation = this.#bodies.generation
    this.#replies.fastjson.clear()
    this.#replies.standard.clear()
  }
}

function isTopic(bytes: Buffer, at: number): boolean {
  return bytes[at + 1] === 0x6f && bytes[at + 2] === 0x70 && bytes[at + 3] === 0x69 && bytes[at + 4] === 0x63
}

function isSame(name: Buffer, bytes: Buffer, start: number, end: number): boolean {
  if (name.length !== end - start) return false
  for (let i = 0; i < name.length; i++) if (name[i] !== bytes[start + i]) return false
  return true
}

function write({ bytes: body }: PreparedReply, serializeType: SerializeType, opaque: number, out: Outbox): void {
  const copied = body.length <= COPY_LIMIT
  out.reserve(header.room + (copied ? body.length : 0))
  header.begin(out.bytes, out.position, serializeType, opaque)
  out.position = header.end(body.length)
  if (!copied) {
    out.append(body)
    return
  }
  out.bytes.set(body, out.position)
  out.position += body.length
}
