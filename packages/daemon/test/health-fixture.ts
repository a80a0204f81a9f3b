import { ManualClock } from '@gantrymq/remoting/testing'
import type { Health } from '../src/http/health.ts'
import { Pages, type PagesOptions } from '../src/http/pages.ts'

export const STARTED_AT = 1_699_999_990_000

/** For tests: the health of a ready server, with the given fields. */
export function healthOf(given: Partial<Health> = {}): Health {
  return {
    version: '0.1.0',
    startedAt: STARTED_AT,
    readiness: () => ({ ready: true }),
    counts: () => ({ topics: 3 }),
    ...given,
  }
}

/** The pages of that server, ten seconds after the start. */
export function pagesOf(given: Partial<PagesOptions> = {}): Pages {
  return new Pages({ role: 'test server', health: healthOf(), clock: new ManualClock(STARTED_AT + 10_000), ...given })
}
