// The JSON pages that this page reads, and the fields that it shows of them.

/** A refusal of the server, or a server that does not answer. */
export class ApiError extends Error {
  readonly code: string

  constructor(code: string, message: string) {
    super(message)
    this.code = code
  }
}

const TIMEOUT_MS = 10_000

/** Reads a JSON page, relative to this one. @throws ApiError */
export async function read<T>(path: string): Promise<T> {
  const headers = { accept: 'application/json' }
  let response: Response
  try {
    response = await fetch(path, { headers, cache: 'no-store', signal: AbortSignal.timeout(TIMEOUT_MS) })
  } catch {
    throw new ApiError('UNREACHABLE', `the server did not answer within ${TIMEOUT_MS / 1000} s, or is gone`)
  }
  const body: unknown = await response.json().catch(() => undefined)
  // A server that is not ready answers its readiness with 503.
  if (response.ok || path === 'readyz') return body as T
  const { code = String(response.status), message = response.statusText } = (body ?? {}) as Partial<ApiError>
  throw new ApiError(code, message)
}

/** The address of a JSON page: `api/v1/topics/Orders?limit=100`. */
export function address(segments: readonly string[], query: Readonly<Record<string, string>> = {}): string {
  const path = ['api', 'v1', ...segments.map(encodeURIComponent)].join('/')
  const given = Object.entries(query).filter(([, value]) => value !== '')
  return given.length === 0 ? path : `${path}?${new URLSearchParams(given).toString()}`
}

export interface Index {
  readonly role: string
  readonly version: string
  readonly pages: readonly { readonly path: string }[]
  readonly otherServers: readonly { readonly name: string; readonly port: number }[]
}

export interface Readiness {
  readonly ready: boolean
  readonly message?: string
  readonly uptimeMs: number
}

/** A part of a list; `next` begins the next part. */
export interface Part {
  readonly total: number
  readonly next?: string
}

export interface Clusters extends Part {
  readonly clusters: readonly { readonly cluster: string; readonly brokerNames: readonly string[] }[]
}

export interface Broker {
  readonly cluster: string
  readonly brokerName: string
  readonly brokerId: number | string
  readonly brokerAddr: string
  readonly lastUpdateAgeMs: number
  readonly timeoutMs: number
  readonly topicCount: number
}

export interface Brokers extends Part {
  readonly brokers: readonly Broker[]
}

/** A topic of a name server has its brokers, one of a broker its queues. */
export interface TopicRow {
  readonly topic: string
  readonly brokers?: number
  readonly readQueueNums?: number
  readonly writeQueueNums?: number
  readonly perm?: number
  readonly messages?: number
  readonly putPerSecond?: number
}

export interface Topics extends Part {
  readonly topics: readonly TopicRow[]
}

export interface Route {
  readonly route: {
    readonly orderTopicConf?: string
    readonly queueDatas: readonly {
      readonly brokerName: string
      readonly readQueueNums: number
      readonly writeQueueNums: number
      readonly perm: number
    }[]
    readonly brokerDatas: readonly {
      readonly cluster: string
      readonly brokerName: string
      readonly brokerAddrs: Readonly<Record<string, string>>
    }[]
  }
}

export interface Why {
  readonly code: string
  readonly message: string
  readonly hints: readonly string[]
}

export interface Queue {
  readonly topic?: string
  readonly queueId: number
  readonly minOffset: number
  readonly maxOffset: number
  readonly committed?: number
  readonly backlog?: number
}

export interface TopicOfBroker {
  readonly config: { readonly perm: number; readonly readQueueNums: number; readonly writeQueueNums: number }
  readonly putPerSecond: number
  readonly queues: readonly Queue[]
}

export interface GroupRow {
  readonly group: string
  readonly clients: number
  readonly consumeType?: string
  readonly messageModel?: string
  readonly backlog: number
}

export interface Groups extends Part {
  readonly groups: readonly GroupRow[]
}

export interface Group extends GroupRow {
  readonly queues: readonly Queue[]
}

export interface Clients extends Part {
  readonly clients: readonly {
    readonly role: string
    readonly group: string
    readonly clientId: string
    readonly address: string
    readonly language: string
    readonly version: string
  }[]
}
