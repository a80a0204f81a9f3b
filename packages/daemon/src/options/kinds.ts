import { isIP } from 'node:net'

/** How the values of an option are read from text, written and described. Blanks around a text never count. */
export interface Kind<T> {
  /** Short name of the type for tables. */
  readonly type: string
  /** What a good value is, as the end of the sentence "it must be ...". */
  readonly expected: string
  /** The value of a trimmed text; undefined if it is not a good one. */
  read(text: string): T | undefined
  /** Null is never printed: it means "not set". */
  print(value: T): string
}

const INT32_MAX = 2_147_483_647

function integer(type: string, unit: string, min: number, max: number): Kind<number> {
  const range = max === INT32_MAX ? (min === 0 ? ', 0 or more' : `, ${min} or more`) : ` from ${min} to ${max}`
  return {
    type,
    expected: min === -INT32_MAX - 1 ? 'a whole number' : `a whole number${unit}${range}`,
    read(text) {
      if (!/^[+-]?\d{1,11}$/.test(text)) return undefined
      const value = Number(text)
      return value >= min && value <= max ? value : undefined
    },
    print: String,
  }
}

/** Java's int, within bounds. */
export const int = (min = -INT32_MAX - 1, max = INT32_MAX) => integer('int', '', min, max)
export const millis = (min = 0, max = INT32_MAX) => integer('milliseconds', ' of milliseconds', min, max)
export const seconds = (min = 0, max = INT32_MAX) => integer('seconds', ' of seconds', min, max)
export const bytes = (min = 0, max = INT32_MAX) => integer('bytes', ' of bytes', min, max)

/** Java's boolean. Java reads everything but `true` as false; here a word that is neither is a mistake. */
export const flag = (): Kind<boolean> => ({
  type: 'boolean',
  expected: 'true or false',
  read: text => ({ true: true, false: false })[text.toLowerCase()],
  print: String,
})

/** A boolean of Java's that can only be false here. */
export const never = (because: string): Kind<boolean> => ({
  ...flag(),
  expected: `false: ${because}`,
  read: text => (text.toLowerCase() === 'false' ? false : undefined),
})

/** One of some words, in any case. */
export const word = <const W extends string>(...words: W[]): Kind<W> => ({
  type: words.join(', '),
  expected: words.join(' or '),
  read: text => words.find(known => known.toLowerCase() === text.toLowerCase()),
  print: String,
})

// Control characters have no place in a name or a path, and a line break would start another line in the stored file.
function isClean(text: string): boolean {
  // oxlint-disable-next-line no-control-regex -- they are what is looked for
  return !/[\u0000-\u001f\u007f]/.test(text)
}

/** Java's String. */
export const text = (): Kind<string> => ({
  type: 'string',
  expected: 'text without control characters',
  read: value => (isClean(value) ? value : undefined),
  print: String,
})

/** A file or a folder; relative to where the program was started. Empty: none. */
export const path = (): Kind<string | null> => orNone({ ...text(), type: 'path', expected: 'a path' })

/** A value that may be left empty. */
export const orNone = <T>(kind: Kind<T>): Kind<T | null> => ({
  ...kind,
  expected: `${kind.expected}, or nothing`,
  read: value => (value === '' ? null : kind.read(value)),
  print: value => (value === null ? '' : kind.print(value)),
})

/** An address to listen on. */
export const host = (): Kind<string> => ({
  type: 'address',
  expected: 'an IP address or a host name',
  read: value => (isIP(value) !== 0 || /^[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?$/.test(value) ? value : undefined),
  print: String,
})

/** Address ranges such as `10.0.0.0/8`, separated by commas. */
export const ranges = (): Kind<readonly string[]> => ({
  type: 'address ranges',
  expected: 'address ranges such as 10.0.0.0/8,fd00::/8',
  read(value) {
    const list = value.split(/[,;]/).map(range => range.trim()).filter(range => range !== '') // biome-ignore format: one thought
    return list.every(isRange) ? list : undefined
  },
  print: value => value.join(','),
})

function isRange(range: string): boolean {
  const [address = '', prefix, ...more] = range.split('/')
  const family = isIP(address)
  if (family === 0 || more.length > 0) return false
  return prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128))
}
