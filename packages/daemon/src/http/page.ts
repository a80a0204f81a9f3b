import { printable, type Sliced } from '@gantrymq/remoting'
import { inSlices } from '../slices.ts'

/** Rows of a list that are written in one slice. */
const ROWS_PER_SLICE = 50

/** A request for a page, over HTTP/1.1 or HTTP/2. */
export interface PageRequest {
  readonly method: string
  /** Path and query as sent. */
  readonly target: string
  /** The Host header, or `:authority` of HTTP/2. */
  readonly host?: string | undefined
  /** The Accept header. */
  readonly accept?: string | undefined
}

/** A whole answer. Paging and limits bound the body, so it needs no stream. */
export interface Page {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** Stable, so that scripts can branch on it. */
export type RefusalCode =
  | 'NOT_FOUND'
  | 'TOPIC_NOT_FOUND'
  | 'GROUP_NOT_FOUND'
  | 'METHOD_NOT_ALLOWED'
  | 'BAD_PATH'
  | 'BAD_QUERY'
  | 'BAD_REQUEST'
  | 'BODY_NOT_ALLOWED'
  | 'PIPELINED'
  | 'TARGET_TOO_LONG'
  | 'HEADER_TOO_LARGE'
  | 'HOST_NOT_ALLOWED'
  | 'METRICS_OFF'
  | 'INTERNAL'

/** A request that gets an error instead of its page. */
export class Refusal extends Error {
  override readonly name = 'Refusal'
  readonly status: number
  readonly code: RefusalCode
  readonly headers: Readonly<Record<string, string>>

  constructor(status: number, code: RefusalCode, message: string, headers: Readonly<Record<string, string>> = {}) {
    super(message)
    this.status = status
    this.code = code
    this.headers = headers
  }
}

// The content changes at any moment, and other sites must not embed these pages.
const commonHeaders = {
  'cache-control': 'no-store',
  'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
  'cross-origin-resource-policy': 'same-origin',
  'referrer-policy': 'no-referrer',
  'x-content-type-options': 'nosniff',
}

export function textPage(body: string, contentType = 'text/plain; charset=utf-8'): Page {
  return { status: 200, headers: { ...commonHeaders, 'content-type': contentType }, body }
}

/** Names that peers chose keep their value, but the text of the page has no character that a terminal obeys or hides. */
export function jsonPage(value: unknown, status = 200): Page {
  return jsonTextPage(printable(JSON.stringify(value, plain)), status)
}

/** A page of JSON text, in which `printable` has escaped what terminals would interpret. */
export function jsonTextPage(text: string, status = 200): Page {
  const headers = { ...commonHeaders, 'content-type': 'application/json; charset=utf-8' }
  return { status, headers, body: `${text}\n` }
}

/**
 * A page of a long list, written in slices.
 * @param name The member with the list, before those of `rest`.
 */
export function* jsonListPage<T>(
  name: string,
  list: readonly T[],
  row: (item: T) => unknown,
  rest: object,
): Sliced<Page> {
  const rows: string[] = []
  yield* inSlices(list, item => rows.push(printable(JSON.stringify(row(item), plain))), ROWS_PER_SLICE)
  const others = printable(JSON.stringify(rest, plain)).slice(1)
  return jsonTextPage(`{${JSON.stringify(name)}:[${rows.join(',')}]${others === '}' ? '' : ','}${others}`)
}

export function refusalPage(refusal: Refusal): Page {
  const page = jsonPage({ code: refusal.code, message: refusal.message }, refusal.status)
  return { ...page, headers: { ...page.headers, ...refusal.headers } }
}

/** Turns Maps into objects, and bigints into strings. */
function plain(_key: string, value: unknown): unknown {
  if (value instanceof Map) return Object.fromEntries(value)
  return typeof value === 'bigint' ? String(value) : value
}
