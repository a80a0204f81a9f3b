/**
 * Work on a large input that pauses every millisecond or so, so that its owner can serve other requests in between.
 * Each `next()` does one slice; the last one returns the result.
 */
export type Sliced<T> = Generator<undefined, T, undefined>

/** Does all slices without a pause. */
export function finish<T>(work: Sliced<T>): T {
  for (;;) {
    const slice = work.next()
    if (slice.done === true) return slice.value
  }
}
