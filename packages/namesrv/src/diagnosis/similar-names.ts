import { inSlices } from '@gantrymq/daemon'
import { DEAD_LETTER_PREFIX, RETRY_PREFIX } from '@gantrymq/protocol'
import { editsBetween, type Sliced } from '@gantrymq/remoting'
import { SHOWN } from './finding.ts'

/** Topics that are compared in a slice: long names that begin and end with different letters take some microseconds each. */
const NAMES_PER_SLICE = 50

/**
 * Names that are nearly the wanted one: first those that differ only in case, surrounding blanks or a namespace, then those
 * with one or two other letters.
 */
export function* similarNames(wanted: string, names: Iterable<string>): Sliced<string[]> {
  const bareWanted = bare(wanted)
  const most = bareWanted.length < 3 ? 0 : bareWanted.length < 5 ? 1 : 2
  const found: string[][] = Array.from({ length: most + 1 }, () => [])
  const compare = (name: string): void => {
    if (name === wanted) return
    const edits = editsBetween(bareWanted, bare(name), most)
    const same = found[edits]
    if (same !== undefined && same.length < SHOWN) same.push(name)
  }
  yield* inSlices(names, compare, NAMES_PER_SLICE)
  return found.flat().slice(0, SHOWN)
}

/** Without the namespace, which stands before the first `%`, in small letters. The prefix of a group's topic stays. */
function bare(name: string): string {
  const prefix = [RETRY_PREFIX, DEAD_LETTER_PREFIX].find(each => name.startsWith(each)) ?? ''
  const rest = name.slice(prefix.length)
  return prefix + (/^[^%]+%(.+)$/s.exec(rest)?.[1] ?? rest).trim().toLowerCase()
}
