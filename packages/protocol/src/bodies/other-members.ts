import type { Bean, JsonInput, JsonObject, JsonValue } from '@gantrymq/remoting'

/** Members of a bean that this release does not know: a later release of Apache has written them into a file. */
export type OtherMembers = JsonObject

/** Those of an object, undefined if there are none. @param known The names of the members that are read. */
export function otherMembers(object: JsonObject, known: ReadonlySet<string>): OtherMembers | undefined {
  let others: Map<string, JsonValue> | undefined
  for (const [key, value] of object) {
    if (typeof key !== 'string' || known.has(key)) continue
    others ??= new Map()
    others.set(key, value)
  }
  return others
}

/** The bean with them, again in the order of names. */
export function withOthers(bean: Bean, others: OtherMembers | undefined): Bean {
  if (others === undefined) return bean
  const members = [...Object.entries(bean), ...(others as ReadonlyMap<string, JsonInput>)]
  return Object.fromEntries(members.toSorted(([a], [b]) => (a < b ? -1 : 1)))
}
