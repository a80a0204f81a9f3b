import { setImmediate } from 'node:timers/promises'

/**
 * Goes through a long list without holding up requests: after every `size` items the event loop gets its turn.
 * The list may change meanwhile, so what is seen is not one moment's state.
 */
export async function inSlices<T>(items: Iterable<T>, visit: (item: T) => void, size = 1000): Promise<void> {
  let left = size
  for (const item of items) {
    if (left-- === 0) {
      await setImmediate()
      left = size - 1
    }
    visit(item)
  }
}
