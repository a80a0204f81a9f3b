/** The known word whose spelling is nearest to a mistyped one; undefined if none is near enough. Case is ignored. */
export function nearestWord(typed: string, known: Iterable<string>): string | undefined {
  if (typed.length > 100) return undefined
  let best: string | undefined
  let fewest = Math.max(1, Math.floor(typed.length / 3)) + 1
  const lower = typed.toLowerCase()
  for (const word of known) {
    const edits = editsBetween(lower, word.toLowerCase(), fewest - 1)
    if (edits < fewest) {
      best = word
      fewest = edits
    }
  }
  return best
}

/**
 * How many letters must be inserted, deleted, replaced or swapped with their neighbour to make one word of another. Any number
 * above `most` only means that there are more.
 */
export function editsBetween(from: string, to: string, most = Number.POSITIVE_INFINITY): number {
  if (Math.abs(from.length - to.length) > most) return most + 1
  let earlier: number[] = []
  let above = Array.from({ length: to.length + 1 }, (_, column) => column)
  for (let row = 1; row <= from.length; row++) {
    const current = [row]
    for (let column = 1; column <= to.length; column++) {
      const same = from[row - 1] === to[column - 1] ? 0 : 1
      let least = Math.min(above[column]! + 1, current[column - 1]! + 1, above[column - 1]! + same)
      const swapped = from[row - 1] === to[column - 2] && from[row - 2] === to[column - 1]
      if (row > 1 && column > 1 && swapped) least = Math.min(least, earlier[column - 2]! + 1)
      current.push(least)
    }
    // A swap goes back two rows, so that both must be above the limit.
    if (Math.min(...current, ...above) > most) return most + 1
    earlier = above
    above = current
  }
  return above[to.length]!
}
