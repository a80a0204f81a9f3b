import { isIP } from 'node:net'

/** How the values of an option are read from text, printed and described. Blanks around a text are ignored. */
export interface Kind<T> {
  /** Short name of the type for tables. */
  readonly type: string
  /** A description of valid values that completes the sentence "it must be ...". */
  readonly expected: string
  /** The value of a trimmed text; undefined if the text is invalid. */
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
      if (!/^[+-]?\d{1,16}$/.test(text)) return undefined
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

/** Java's boolean. Java reads everything but `true` as false; here any other word is invalid. */
export const flag = (): Kind<boolean> => ({
  type: 'boolean',
  expected: 'true or false',
  read: text => ({ true: true, false: false })[text.toLowerCase()],
  print: String,
})

/** A boolean of Apache that can only be false here. */
export const never = (because: string): Kind<boolean> => ({
  ...flag(),
  expected: `false: ${because}`,
  read: text => (text.toLowerCase() === 'false' ? false : undefined),
})

/** One of some words, in upper or lower case. */
export const word = <const W extends string>(...words: W[]): Kind<W> => ({
  type: words.join(', '),
  expected: words.join(' or '),
  read: text => words.find(known => known.toLowerCase() === text.toLowerCase()),
  print: String,
})

// A name or a path needs no control characters, and a line break would start another line in the stored file.
function isClean(text: string): boolean {
  // oxlint-disable-next-line no-control-regex -- the pattern is for control characters
  return !/[\u0000-\u001f\u007f]/.test(text)
}

/** Java's String. */
export const text = (): Kind<string> => ({
  type: 'string',
  expected: 'text without control characters',
  read: value => (isClean(value) ? value : undefined),
  print: String,
})

/** A file or a folder, relative to the working directory of the program. Empty: none. */
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

/** Host names, separated by commas. `*.example.com` is every name below example.com; `*` is every name. */
export const hostNames = (): Kind<readonly string[]> => ({
  type: 'host names',
  expected: 'host names such as namesrv.internal,*.example.com, or *',
  read(value) {
    const list = value.split(/[,;]/).map(name => name.trim()).filter(name => name !== '') // biome-ignore format: one thought
    return list.every(name => /^(?:\*|(?:\*\.)?[A-Za-z0-9_](?:[A-Za-z0-9._-]*[A-Za-z0-9_])?)$/.test(name))
      ? list
      : undefined
  },
  print: value => value.join(','),
})

function isRange(range: string): boolean {
  const [address = '', prefix, ...more] = range.split('/')
  const family = isIP(address)
  if (family === 0 || more.length > 0) return false
  return prefix === undefined || (/^\d{1,3}$/.test(prefix) && Number(prefix) <= (family === 4 ? 32 : 128))
}
