/**
 * Work on something large that pauses every millisecond or so, so that its owner may serve others in between.
 * Each `next()` does one slice; the last one returns the result.
 */
export type Sliced<T> = Generator<undefined, T, undefined>

/** Does all slices at once. */
export function finish<T>(work: Sliced<T>): T {
  for (;;) {
    const slice = work.next()
    if (slice.done === true) return slice.value
  }
}
