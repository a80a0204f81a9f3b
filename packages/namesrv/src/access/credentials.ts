import { latestProperties, readProperties, RemotingError } from '@gantrymq/remoting'

/** Keys of Apache's tools.yml and plain_acl.yml, which a reader of properties takes for access keys. */
const YAML_KEYS = new Set(['accessKey', 'secretKey', 'accounts', 'globalWhiteRemoteAddresses', '-'])

/**
 * Reads accounts from a UTF-8 properties text: a line `accessKey=secretKey` for each.
 * @returns The secret key of each access key.
 * @throws RemotingError BAD_OPTION with the line of an entry that is no account; the message has no secret.
 */
export function readCredentials(text: Uint8Array): ReadonlyMap<string, string> {
  const secrets = new Map<string, string>()
  for (const { key, value, line } of latestProperties(readProperties(text, 'utf8')).values()) {
    const problem = whyNoAccount(key, value)
    if (problem !== undefined) throw new RemotingError('BAD_OPTION', `line ${line}: ${problem}`)
    secrets.set(key, value)
  }
  if (secrets.size === 0) throw new RemotingError('BAD_OPTION', 'it has no account: write a line accessKey=secretKey')
  return secrets
}

function whyNoAccount(accessKey: string, secretKey: string): string | undefined {
  if (YAML_KEYS.has(accessKey))
    return "this is YAML, as of Apache's tools.yml: write a line accessKey=secretKey instead"
  if (accessKey === '') return 'the access key is missing: write accessKey=secretKey'
  if (secretKey === '') return `the secret key of ${accessKey} is missing: write ${accessKey}=secretKey`
  // Java's reader of properties keeps a blank at the end of a line, where no editor shows it.
  if (secretKey !== secretKey.trim()) return `the secret key of ${accessKey} begins or ends with a blank: remove it`
  return undefined
}
