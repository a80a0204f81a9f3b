import { setImmediate } from 'node:timers/promises'
import type { Sliced } from '@gantrymq/remoting'

/**
 * Goes through a long list without blocking requests: after every `size` items the event loop can do other work. The
 * list may change in the meantime, so the items may not be a snapshot of one moment.
 */
export async function inSlices<T>(items: Iterable<T>, each: (item: T) => void, size = 1000): Promise<void> {
  let left = size
  for (const item of items) {
    if (left-- === 0) {
      await setImmediate()
      left = size - 1
    }
    each(item)
  }
}

/**
 * Does work in slices, between which the event loop can do other work. Work of one slice, the usual case, is done at
 * once and without a promise.
 */
export function inTurns<T>(work: Sliced<T>): T | Promise<T> {
  const first = work.next()
  return first.done === true ? first.value : finishInSlices(work)
}

async function finishInSlices<T>(work: Sliced<T>): Promise<T> {
  for (;;) {
    await setImmediate()
    const slice = work.next()
    if (slice.done === true) return slice.value
  }
}
