import type { MetricsPage } from '@gantrymq/daemon'
import { type Clock, type Logger, silent } from '@gantrymq/remoting'
import type { NameServerStatus } from '../status.ts'
import { brokersPage, clustersPage, topicPage, topicsPage, whyPage } from './api.ts'
import { livePage, readyPage } from './health.ts'
import { type Page, type PageRequest, Refusal, refusalPage, textPage } from './page.ts'

export interface PagesOptions {
  readonly status: NameServerStatus
  /** Default none: `/metrics` says that they are off. */
  readonly metrics?: MetricsPage | undefined
  readonly clock: Clock
  readonly log?: Logger
}

const MAX_TARGET_LENGTH = 2048
const TOPIC_PATH = /^\/api\/v1\/topics\/([^/]+)(\/why)?$/

const INDEX = `This is a RocketMQ name server (Gantry). Brokers and clients speak the remoting protocol on this port.

/livez                       200 while the process answers
/readyz                      200 when clients are served, else 503 with the reason
/metrics                     Prometheus text
/api/v1/clusters             clusters and their broker names
/api/v1/brokers              broker groups, ?cluster=
/api/v1/topics               topics; lists take ?prefix= &limit= &after=
/api/v1/topics/{topic}       route of a topic; write % as %25
/api/v1/topics/{topic}/why   why a topic has no route, or none to write to
`

/** The read-only pages, whatever carries them. */
export class Pages {
  readonly #options: PagesOptions
  readonly #log: Logger

  constructor(options: PagesOptions) {
    this.#options = options
    this.#log = options.log ?? silent
  }

  /** The answer to a request. Never rejects: failures become pages. */
  async answer(request: PageRequest): Promise<Page> {
    try {
      return await this.#find(request)
    } catch (error) {
      if (error instanceof Refusal) return refusalPage(error)
      this.#log.error({ err: error, target: request.target }, 'http page failed')
      return refusalPage(new Refusal(500, 'INTERNAL', 'the page could not be made; the reason is in the log'))
    }
  }

  async #find({ method, target }: PageRequest): Promise<Page> {
    if (method !== 'GET' && method !== 'HEAD') {
      throw new Refusal(405, 'METHOD_NOT_ALLOWED', 'these pages are read-only', { allow: 'GET, HEAD' })
    }
    if (target.length > MAX_TARGET_LENGTH) {
      throw new Refusal(414, 'TARGET_TOO_LONG', `path and query must fit in ${MAX_TARGET_LENGTH} characters`)
    }
    const mark = target.indexOf('?')
    const path = mark < 0 ? target : target.slice(0, mark)
    return await this.#page(path, new URLSearchParams(mark < 0 ? '' : target.slice(mark)))
  }

  #page(path: string, query: URLSearchParams): Page | Promise<Page> {
    const { status, clock } = this.#options
    switch (path) {
      case '/':
        return textPage(INDEX)
      case '/livez':
        return livePage()
      case '/readyz':
        return readyPage(status, clock.now())
      case '/metrics':
        return this.#metrics()
      case '/api/v1/clusters':
        return clustersPage(status, query)
      case '/api/v1/brokers':
        return brokersPage(status, query, clock.now())
      case '/api/v1/topics':
        return topicsPage(status, query)
    }
    return this.#topic(path)
  }

  #topic(path: string): Page | Promise<Page> {
    const { status, clock } = this.#options
    const [, encoded, why] = TOPIC_PATH.exec(path) ?? []
    if (encoded === undefined) throw new Refusal(404, 'NOT_FOUND', 'no such page; / lists them')
    const topic = decodeTopic(encoded)
    return why ? whyPage(status, topic, clock.now()) : topicPage(status, topic)
  }

  async #metrics(): Promise<Page> {
    const { metrics } = this.#options
    if (!metrics) throw new Refusal(404, 'METRICS_OFF', 'this server was started without a writer for metrics')
    return textPage(await metrics.render(), metrics.contentType)
  }
}

/** Retry and dead letter topics begin with a percent sign, which people forget to write as %25. */
function decodeTopic(encoded: string): string {
  try {
    return decodeURIComponent(encoded)
  } catch {
    throw new Refusal(400, 'BAD_PATH', 'the topic is not percent-encoded UTF-8; write a percent sign as %25')
  }
}
