import { type Clock, type Logger, silent } from '@gantrymq/remoting'
import type { MetricsPage } from '../metrics/family.ts'
import { type Health, livePage, readyPage } from './health.ts'
import { indexPage, type OtherServer } from './index-page.ts'
import { type Page, type PageRequest, Refusal, refusalPage, textPage } from './page.ts'

/** A page of one kind of server, besides those that every server has. */
export interface ServerPage {
  /** Its path: `/api/v1/topics/{topic}`. Braces stand for one segment of any text; there may be one of them. */
  readonly path: string
  /** What the index says about it, without a full stop. */
  readonly about: string
  /** @throws Refusal */
  readonly answer: (given: PageArguments) => Page | Promise<Page>
}

export interface PageArguments {
  /** The decoded segment that stands for the braces of the path; empty if it has none. */
  readonly segment: string
  readonly query: URLSearchParams
  /** Milliseconds since the epoch. */
  readonly now: number
}

export interface PagesOptions {
  /** What the index calls the server: `name server`. */
  readonly role: string
  readonly health: Health
  /** Default none: `/metrics` says that metrics are off. */
  readonly metrics?: MetricsPage | undefined
  /** In the order of the index. */
  readonly further?: readonly ServerPage[]
  /** Servers of the same process that serve pages, too, for links. Default none. */
  readonly otherServers?: (() => readonly OtherServer[]) | undefined
  readonly clock: Clock
  readonly log?: Logger
}

const MAX_TARGET_LENGTH = 2048

/** The read-only pages of a server, independent of the transport. */
export class Pages {
  readonly #index: (accept: string | undefined) => Page
  readonly #pages: readonly PageRoute[]
  readonly #clock: Clock
  readonly #log: Logger

  constructor({ role, health, metrics, further = [], otherServers = () => [], clock, log = silent }: PagesOptions) {
    const pages: readonly ServerPage[] = [...commonPages(health, metrics), ...further]
    this.#index = accept => indexPage({ role, health, pages, otherServers: otherServers() }, accept)
    this.#pages = pages.map(page => ({ page, pattern: patternOf(page.path) }))
    this.#clock = clock
    this.#log = log
  }

  /** The answer to a request. Never rejects: failures become pages. */
  async answer(request: PageRequest): Promise<Page> {
    try {
      return await this.#find(request)
    } catch (error) {
      if (error instanceof Refusal) return refusalPage(error)
      this.#log.error({ err: error, target: request.target }, 'http page failed')
      return refusalPage(new Refusal(500, 'INTERNAL', 'the page could not be created; the log has the reason'))
    }
  }

  #find({ method, target, accept }: PageRequest): Page | Promise<Page> {
    if (method !== 'GET' && method !== 'HEAD') {
      throw new Refusal(405, 'METHOD_NOT_ALLOWED', 'these pages are read-only', { allow: 'GET, HEAD' })
    }
    if (target.length > MAX_TARGET_LENGTH) {
      throw new Refusal(414, 'TARGET_TOO_LONG', `path and query must fit in ${MAX_TARGET_LENGTH} characters`)
    }
    const mark = target.indexOf('?')
    const path = mark < 0 ? target : target.slice(0, mark)
    if (path === '/') return this.#index(accept)
    for (const { page, pattern } of this.#pages) {
      const match = pattern.exec(path)
      if (match === null) continue
      const query = new URLSearchParams(mark < 0 ? '' : target.slice(mark))
      return page.answer({ segment: decoded(match[1] ?? '', page.path), query, now: this.#clock.now() })
    }
    throw new Refusal(404, 'NOT_FOUND', 'there is no such page; / lists all pages')
  }
}

interface PageRoute {
  readonly page: ServerPage
  readonly pattern: RegExp
}

function commonPages(health: Health, metrics: MetricsPage | undefined): readonly ServerPage[] {
  return [
    { path: '/livez', about: '200 while the process answers', answer: livePage },
    {
      path: '/readyz',
      about: '200 when clients are served, else 503 with the reason',
      answer: ({ now }) => readyPage(health, now),
    },
    { path: '/metrics', about: 'Prometheus text', answer: () => metricsPage(metrics) },
  ]
}

async function metricsPage(metrics: MetricsPage | undefined): Promise<Page> {
  if (!metrics) throw new Refusal(404, 'METRICS_OFF', 'this server was started without metrics')
  return textPage(await metrics.render(), metrics.contentType)
}

/** Paths consist of slashes, letters, digits and braces, so they need no escaping. */
function patternOf(path: string): RegExp {
  return new RegExp(`^${path.replace(/\{\w+\}/, '([^/]+)')}$`)
}

/** Retry and dead-letter topics begin with a percent sign, which people forget to write as %25. */
function decoded(segment: string, path: string): string {
  try {
    return decodeURIComponent(segment)
  } catch {
    const name = /\{(\w+)\}/.exec(path)?.[1]
    throw new Refusal(400, 'BAD_PATH', `the ${name} is not percent-encoded UTF-8; write a percent sign as %25`)
  }
}
