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
 * above `most` only means that there are more. The time grows with the length of the words times `most`.
 */
export function editsBetween(from: string, to: string, most = Number.POSITIVE_INFINITY): number {
  if (Math.abs(from.length - to.length) > most) return most + 1
  // Letters that both words begin or end with need no edit.
  let begin = 0
  let fromEnd = from.length
  let toEnd = to.length
  while (begin < fromEnd && begin < toEnd && from.charCodeAt(begin) === to.charCodeAt(begin)) begin++
  while (fromEnd > begin && toEnd > begin && from.charCodeAt(fromEnd - 1) === to.charCodeAt(toEnd - 1)) {
    fromEnd--
    toEnd--
  }
  const longest = Math.max(fromEnd, toEnd) - begin
  return editsInBand(from.slice(begin, fromEnd), to.slice(begin, toEnd), Math.min(most, longest))
}

/**
 * Cells of the usual table of edits that are farther than `most` from its diagonal are above `most`, so that each row is a band
 * around the diagonal, with a cell at both ends that is always above `most`.
 */
function editsInBand(from: string, to: string, most: number): number {
  const diagonal = most + 1
  const end = 2 * most + 2
  const newRow = (): number[] => Array.from({ length: end + 1 }, () => most + 1)
  let [twoBack, last, row] = [newRow(), newRow(), newRow()]
  for (let column = 0; column <= Math.min(to.length, most); column++) last[diagonal + column] = column
  let leastOfLast = 0
  for (let index = 1; index <= from.length; index++) {
    let least = most + 1
    for (let cell = 1; cell < end; cell++) {
      const column = index + cell - diagonal
      row[cell] = column < 0 || column > to.length ? most + 1 : column === 0 ? index : editsOfCell(cell, index, column)
      least = Math.min(least, row[cell]!)
    }
    // A swap goes back two rows, so that both must be above the limit.
    if (Math.min(least, leastOfLast) > most) return most + 1
    leastOfLast = least
    ;[twoBack, last, row] = [last, row, twoBack]
  }
  return last[diagonal + to.length - from.length]!

  function editsOfCell(cell: number, index: number, column: number): number {
    const letter = from.charCodeAt(index - 1)
    const replaced = last[cell]! + (letter === to.charCodeAt(column - 1) ? 0 : 1)
    const edits = Math.min(last[cell + 1]! + 1, row[cell - 1]! + 1, replaced)
    const isSwapped =
      index > 1 &&
      column > 1 &&
      letter === to.charCodeAt(column - 2) &&
      from.charCodeAt(index - 2) === to.charCodeAt(column - 1)
    return isSwapped ? Math.min(edits, twoBack[cell]! + 1) : edits
  }
}
