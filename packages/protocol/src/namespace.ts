import { DEAD_LETTER_PREFIX, isSystemTopic, RETRY_PREFIX } from './topic-name.ts'

const SEPARATOR = '%'
const SYSTEM_GROUP_PREFIX = 'CID_RMQ_SYS_'

function splitPrefix(name: string): [prefix: string, rest: string] {
  for (const prefix of [RETRY_PREFIX, DEAD_LETTER_PREFIX]) {
    if (name.startsWith(prefix)) return [prefix, name.slice(prefix.length)]
  }
  return ['', name]
}

/**
 * Puts a client's namespace before the name of a topic or group, behind `%RETRY%` or `%DLQ%`. Names of system topics and
 * groups, and names that have the namespace already, stay unchanged (Apache's NamespaceUtil.wrapNamespace).
 */
export function wrapNamespace(namespace: string, name: string): string {
  if (namespace === '' || name === '' || isSystemTopic(name) || name.startsWith(SYSTEM_GROUP_PREFIX)) return name
  const [prefix, rest] = splitPrefix(name)
  return rest.startsWith(namespace + SEPARATOR) ? name : prefix + namespace + SEPARATOR + rest
}

/** Removes the namespace from a name that has it. */
export function unwrapNamespace(namespace: string, name: string): string {
  const [prefix, rest] = splitPrefix(name)
  const start = namespace + SEPARATOR
  return namespace !== '' && rest.startsWith(start) ? prefix + rest.slice(start.length) : name
}
