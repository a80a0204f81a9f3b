/** The broker's default delay table (messageDelayLevel), milliseconds; level 1 is the first. */
export const delayLevels: readonly number[] = Object.freeze(
  [1, 5, 10, 30, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 1200, 1800, 3600, 7200].map(
    seconds => seconds * 1000,
  ),
)

/** The first retry of a message takes this level, each later one the next (Apache's `3 + reconsumeTimes`). */
const FIRST_RETRY_LEVEL = 3

/** Milliseconds of a level under the default table; 0 for level 0, and levels beyond the table take its last, as brokers do. */
export function delayOfLevel(level: number): number {
  if (level <= 0) return 0
  return delayLevels[Math.min(level, delayLevels.length) - 1] ?? 0
}

/** The lowest level that waits at least so long, the highest if none does; 0 for no delay. */
export function levelOfDelay(delayMs: number): number {
  if (delayMs <= 0) return 0
  const index = delayLevels.findIndex(delay => delay >= delayMs)
  return index < 0 ? delayLevels.length : index + 1
}

/** Level of the next retry of a message that was retried so often. Brokers use the same where a client gives level 0. */
export function retryLevel(reconsumeTimes: number): number {
  return FIRST_RETRY_LEVEL + reconsumeTimes
}

/** Milliseconds that a failed pop message stays invisible, by delay level (Apache's popDelayLevel). */
const popDelays: readonly number[] = [
  10, 30, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 1200, 1800, 3600, 7200,
].map(seconds => seconds * 1000)

/** How long a pop message stays invisible after a failure: by the level, or by its retries if that is 0. Milliseconds. */
export function popRetryDelay(delayLevel: number, reconsumeTimes: number): number {
  const index = Math.max(0, delayLevel > 0 ? delayLevel : reconsumeTimes)
  return popDelays[Math.min(index, popDelays.length - 1)] ?? 0
}
