import { RemotingError } from '@gantrymq/remoting'

const NAME_END = '\u0001'
const VALUE_END = '\u0002'

/** Bytes that the properties of a message may have: their length is an int16. */
export const MAX_PROPERTIES_LENGTH = 32_767

/**
 * The property text of a message: name, U+0001, value, U+0002. As 5.x writes it, with the last U+0002, which 4.9 leaves
 * out; both read both.
 * @throws RemotingError BAD_OPTION if a name or value has one of the separators
 */
export function writeMessageProperties(properties: Iterable<readonly [string, string]>): string {
  let text = ''
  for (const [name, value] of properties) {
    if (hasSeparator(name) || hasSeparator(value)) {
      throw new RemotingError('BAD_OPTION', `the message property ${JSON.stringify(name)} has U+0001 or U+0002 in it`)
    }
    text += name + NAME_END + value + VALUE_END
  }
  return text
}

function hasSeparator(text: string): boolean {
  return text.includes(NAME_END) || text.includes(VALUE_END)
}

/** Reads such a text. Entries without a name or with an empty value are dropped, as in Java. */
export function readMessageProperties(text: string): Map<string, string> {
  const properties = new Map<string, string>()
  for (const entry of text.split(VALUE_END)) {
    const split = entry.indexOf(NAME_END)
    if (split > 0 && split < entry.length - 1) properties.set(entry.slice(0, split), entry.slice(split + 1))
  }
  return properties
}
