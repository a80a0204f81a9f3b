import { setImmediate } from 'node:timers/promises'
import type { Sliced } from '@gantrymq/remoting'

/**
 * Goes through a long list without holding up requests: after every `size` items the event loop gets its turn.
 * The list may change meanwhile, so what is seen is not one moment's state.
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
 * Does work in slices, giving the event loop its turn between them. Work of one slice is done at once, without a
 * promise, which is what nearly all of it is.
 */
export function inTurns<T>(work: Sliced<T>): T | Promise<T> {
  const first = work.next()
  return first.done === true ? first.value : goOn(work)
}

async function goOn<T>(work: Sliced<T>): Promise<T> {
  for (;;) {
    await setImmediate()
    const slice = work.next()
    if (slice.done === true) return slice.value
  }
}
