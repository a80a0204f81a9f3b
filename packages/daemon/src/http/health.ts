import { jsonPage, type Page, textPage } from './page.ts'

/** Whether clients should use a server. */
export type Readiness =
  | { readonly ready: true }
  | {
      readonly ready: false
      /**
       * STARTING: the port is not open yet. WAITING: the port is open, but the server waits for others (a name server waits
       * `waitSecondsForService` for its brokers). DRAINING: the server is shutting down.
       */
      readonly code: 'STARTING' | 'WAITING' | 'DRAINING'
      /** For people. */
      readonly reason: string
    }

/** What the common pages need from a server. */
export interface Health {
  readonly version: string
  /** Milliseconds since the epoch. */
  readonly startedAt: number
  readiness(): Readiness
  /** A few numbers to show with the readiness, such as `brokers`. */
  counts(): Readonly<Record<string, number>>
}

/**
 * Answers as long as the event loop runs. It does not depend on the state of the server, which a restart would not
 * repair.
 */
export function livePage(): Page {
  return textPage('ok\n')
}

/** 200 if clients should use this server, else 503 with the reason. */
export function readyPage(health: Health, now: number): Page {
  const { version, startedAt } = health
  const about = { version, uptimeMs: Math.max(0, now - startedAt), ...health.counts() }
  const readiness = health.readiness()
  if (readiness.ready) return jsonPage({ ready: true, ...about })
  return jsonPage({ ready: false, code: readiness.code, message: readiness.reason, ...about }, 503)
}
