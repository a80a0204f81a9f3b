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

/** Most pieces, and characters, that are joined in one slice. */
const PIECES_PER_SLICE = 500
const CHARACTERS_PER_SLICE = 64 * 1024

/** Joins pieces of text and encodes them in UTF-8, in slices. */
export function* encodeInSlices(pieces: Iterable<string>): Sliced<Buffer[]> {
  const parts: Buffer[] = []
  let text = ''
  let left = PIECES_PER_SLICE
  for (const piece of pieces) {
    text += piece
    if (--left > 0 && text.length < CHARACTERS_PER_SLICE) continue
    parts.push(Buffer.from(text))
    text = ''
    left = PIECES_PER_SLICE
    yield
  }
  parts.push(Buffer.from(text))
  return parts
}
