import type { Sliced } from '@gantrymq/remoting'
import { inSlices } from '../slices.ts'
import { Refusal } from './page.ts'

const DEFAULT_LIMIT = 100
const MAX_LIMIT = 1000

/** The part of a list that a request asks for. Entries are sorted by name. */
export interface PageQuery {
  readonly prefix: string
  /** Only names after this one, the last name of the previous page. So pages stay consistent while the list changes. */
  readonly after: string
  readonly limit: number
}

/** Characters of a wrong parameter that a refusal repeats. */
const LONGEST_SHOWN = 100

/**
 * Checks that a query has none but these parameters, each once at most.
 * @throws Refusal BAD_QUERY
 */
export function checkParameters(query: URLSearchParams, known: readonly string[]): void {
  const seen = new Set<string>()
  for (const key of query.keys()) {
    const name = shown(key)
    if (!known.includes(key)) {
      const expected = known.length === 0 ? 'this page takes none' : `expected ${known.join(', ')}`
      throw new Refusal(400, 'BAD_QUERY', `unknown parameter ${name}, ${expected}`)
    }
    if (seen.has(key)) throw new Refusal(400, 'BAD_QUERY', `the parameter ${name} is given more than once`)
    seen.add(key)
  }
}

const shown = (text: string): string => JSON.stringify(text.slice(0, LONGEST_SHOWN))

/** @throws Refusal BAD_QUERY */
export function readPageQuery(query: URLSearchParams, others: readonly string[] = []): PageQuery {
  checkParameters(query, ['prefix', 'after', 'limit', ...others])
  return { prefix: query.get('prefix') ?? '', after: query.get('after') ?? '', limit: readLimit(query.get('limit')) }
}

function readLimit(text: string | null): number {
  if (text === null) return DEFAULT_LIMIT
  const limit = /^\d{1,4}$/.test(text) ? Number(text) : 0
  if (limit < 1 || limit > MAX_LIMIT) {
    throw new Refusal(400, 'BAD_QUERY', `limit must be from 1 to ${MAX_LIMIT}, and not ${shown(text)}`)
  }
  return limit
}

export interface Part<T> {
  readonly entries: T[]
  /** How many match the prefix, on all pages. */
  readonly total: number
  /** `after` for the next page; undefined on the last page. */
  readonly next: string | undefined
}

/**
 * Returns the requested part of a long list, in one pass and in slices. Sorting all names would block other requests, so
 * at most about twice the page is kept.
 */
export function* pickPart<T>(items: Iterable<T>, nameOf: (item: T) => string, query: PageQuery): Sliced<Part<T>> {
  const kept = new SmallestNames<T>(query.limit)
  let total = 0
  let later = 0
  yield* inSlices(items, item => {
    const name = nameOf(item)
    if (!name.startsWith(query.prefix)) return
    total++
    if (name <= query.after) return
    later++
    kept.add(name, item)
  })
  const rows = kept.sorted()
  const next = later > rows.length ? rows.at(-1)?.name : undefined
  return { entries: rows.map(row => row.item), total, next }
}

class SmallestNames<T> {
  #rows: { readonly name: string; readonly item: T }[] = []
  readonly #limit: number
  /** Names after this one are known not to belong to the page. */
  #end: string | undefined

  constructor(limit: number) {
    this.#limit = limit
  }

  add(name: string, item: T): void {
    if (this.#end !== undefined && name > this.#end) return
    this.#rows.push({ name, item })
    if (this.#rows.length > this.#limit * 2) this.#end = this.sorted().at(-1)?.name
  }

  sorted(): readonly { readonly name: string; readonly item: T }[] {
    this.#rows.sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
    this.#rows.length = Math.min(this.#rows.length, this.#limit)
    return this.#rows
  }
}
