/** How long a failed popped message stays invisible, by delay level, in milliseconds (Apache's popDelayLevel). */
const delays: readonly number[] = [10, 30, 60, 120, 180, 240, 300, 360, 420, 480, 540, 600, 1200, 1800, 3600, 7200].map(
  seconds => seconds * 1000,
)

/**
 * How long a popped message stays invisible after its listener failed, in milliseconds: by `delayLevel`, or by the number
 * of earlier deliveries if that is not above 0.
 */
export function popRetryDelay(delayLevel: number, reconsumeTimes: number): number {
  const index = Math.max(0, delayLevel > 0 ? delayLevel : reconsumeTimes)
  return delays[Math.min(index, delays.length - 1)] ?? 0
}
