/** The known word whose spelling is nearest to a mistyped one; undefined if none is near enough. Case is ignored. */
export function nearestWord(typed: string, known: Iterable<string>): string | undefined {
  if (typed.length > 100) return undefined
  let best: string | undefined
  let fewest = Math.max(1, Math.floor(typed.length / 3)) + 1
  const lower = typed.toLowerCase()
  for (const word of known) {
    // Each missing or extra letter is a change.
    if (Math.abs(word.length - typed.length) >= fewest) continue
    const changes = changesBetween(lower, word.toLowerCase())
    if (changes < fewest) {
      best = word
      fewest = changes
    }
  }
  return best
}

/** How many letters must be inserted, deleted, replaced or swapped with their neighbour. */
function changesBetween(from: string, to: string): number {
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
    earlier = above
    above = current
  }
  return above[to.length]!
}
