/** Attributes of a topic (5.x) by name, as TopicConfig has them. */
export type TopicAttributes = ReadonlyMap<string, string>

/** A change of attributes that a broker refuses. The message is Apache's. */
export class AttributesRefused extends Error {
  override readonly name = 'AttributesRefused'
}

interface AttributeRule {
  /** Whether an existing topic may get or lose it. */
  readonly changeable: boolean
  readonly accepts: (value: string) => boolean
}

const oneOf = (...words: string[]) => {
  const known = new Set(words)
  return (value: string) => known.has(value)
}

/** Apache's TopicAttributes, with the values that this broker can serve. */
const RULES: ReadonlyMap<string, AttributeRule> = new Map([
  [
    'message.type',
    { changeable: true, accepts: oneOf('UNSPECIFIED', 'NORMAL', 'FIFO', 'DELAY', 'TRANSACTION', 'MIXED') },
  ],
  // Batches in queues and compaction need other files, which this store does not have.
  ['queue.type', { changeable: false, accepts: oneOf('SimpleCQ') }],
  ['cleanup.policy', { changeable: false, accepts: oneOf('DELETE') }],
  ['reserve.time', { changeable: true, accepts: value => /^(?:-1|\d{1,18})$/.test(value) }],
])

/**
 * Applies `+key=value,-key` to the attributes of a topic; undefined if it does not exist yet.
 * Source: Apache's AttributeParser and AttributeUtil.alterCurrentAttributes.
 * @throws AttributesRefused
 */
export function alteredAttributes(current: TopicAttributes | undefined, changes: string): TopicAttributes {
  const result = new Map(current)
  const seen = new Set<string>()
  for (const text of changes === '' ? [] : changes.split(',')) {
    const { key, value } = parse(text)
    if (seen.has(key)) throw new AttributesRefused(`key duplication: ${key}`)
    seen.add(key)
    const rule = RULES.get(key)
    if (rule === undefined) throw new AttributesRefused(`unsupported key: ${key}`)
    if (current !== undefined && !rule.changeable) {
      throw new AttributesRefused(`attempt to update an unchangeable attribute. key: ${key}`)
    }
    if (value === undefined) remove(result, key, current === undefined)
    else if (rule.accepts(value)) result.set(key, value)
    else throw new AttributesRefused(`value is not in set: ${value}`)
  }
  return result
}

function remove(attributes: Map<string, string>, key: string, isNew: boolean): void {
  if (isNew) throw new AttributesRefused(`only add attribute is supported while creating topic. key: ${key}`)
  if (!attributes.delete(key)) throw new AttributesRefused(`attempt to delete a nonexistent key: ${key}`)
}

/** Without a value, the key is to be removed. */
function parse(text: string): { readonly key: string; readonly value: string | undefined } {
  const equals = text.indexOf('=')
  if (equals >= 0) {
    if (!text.startsWith('+'))
      throw new AttributesRefused(`add/alter attribute format is wrong: ${text.slice(0, equals)}`)
    return { key: text.slice(1, equals), value: text.slice(equals + 1) }
  }
  if (!text.startsWith('-')) throw new AttributesRefused(`delete attribute format is wrong: ${text}`)
  return { key: text.slice(1), value: undefined }
}
