import type { Sliced } from '@gantrymq/remoting'

/**
 * Goes through a long list in slices of `size` items. The list may change between two slices, so the items may not be a
 * snapshot of one moment.
 */
export function* inSlices<T>(items: Iterable<T>, each: (item: T) => void, size = 250): Sliced<void> {
  let left = size
  for (const item of items) {
    if (left-- === 0) {
      yield
      left = size - 1
    }
    each(item)
  }
}
