import { setTimeout as delay } from 'node:timers/promises'

const EVENTUALLY_MS = 30_000
const POLL_MS = 50

/**
 * Repeats an assertion until it holds: servers do part of their work after they have answered.
 * @throws the last failure if the time passes first
 */
export async function eventually(check: () => Promise<unknown>, ms = EVENTUALLY_MS): Promise<void> {
  const end = Date.now() + ms
  for (;;) {
    try {
      await check()
      return
    } catch (error) {
      if (Date.now() > end) throw error
    }
    await delay(POLL_MS)
  }
}
