import type { NameServerStatus } from '../status.ts'
import { jsonPage, type Page, textPage } from './page.ts'

/** Answers as long as the event loop does. Says nothing about the state: restarting would not mend it. */
export function livePage(): Page {
  return textPage('ok\n')
}

/** 200 if clients should be sent here, else 503 with the reason: Apache 5's needWaitForService is one. */
export function readyPage(status: NameServerStatus, now: number): Page {
  const about = {
    version: status.version,
    uptimeMs: Math.max(0, now - status.startedAt),
    brokers: status.brokerCount(),
    topics: status.topicCount(),
  }
  const readiness = status.readiness()
  if (readiness.ready) return jsonPage({ ready: true, ...about })
  return jsonPage({ ready: false, code: readiness.code, message: readiness.reason, ...about }, 503)
}
