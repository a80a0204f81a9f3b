import { crypto } from './builtin.ts'
import type { Command, ExtFields } from './command.ts'
import { ResponseError } from './errors.ts'
import type { RequestHook } from './router.ts'

/** The identity of a caller and its secret: an access key of ACL 1.0, or a user and password of 5.x. */
export interface Credentials {
  readonly accessKey: string
  readonly secretKey: string
  readonly securityToken?: string | undefined
}

const ACCESS_KEY = 'AccessKey'
const SECURITY_TOKEN = 'SecurityToken'
const SIGNATURE = 'Signature'
const UNIQUE_KEY_QUERY = '_UNIQUE_KEY_QUERY'
const NO_PERMISSION = 16
/** The first release of 5.x (MQVersion.V5_0_0). */
const FIRST_OF_5 = 413

/**
 * The signature of a request: HMAC-SHA1 over the values of its fields in the order of their names, then the body
 * (Apache's AclUtils.combineRequestContent). Code, opaque, version and remark are not covered.
 * @param without A field to leave out besides the signature itself.
 */
export function signatureOf(fields: ExtFields, body: Uint8Array | null, secretKey: string, without?: string): string {
  const hmac = crypto().createHmac('sha1', secretKey)
  // sort() orders names by UTF-16 code unit, as Java's TreeMap does.
  for (const name of [...fields.keys()].sort()) {
    if (name !== SIGNATURE && name !== without) hmac.update(fields.get(name) ?? '', 'utf8')
  }
  if (body !== null) hmac.update(body)
  return hmac.digest('base64')
}

/**
 * Signs own requests: for the `onSend` of a client or connection. It must be the last to add fields, as a field added after it
 * breaks the signature. Which fields are covered depends on the peer, as PlainAccessValidator of 4.9 leaves one out; a peer of
 * unknown version (0) is treated like 5.x.
 */
export function signing({ accessKey, secretKey, securityToken }: Credentials) {
  return (fields: Map<string, string>, body: Uint8Array | null, peerVersion = 0): void => {
    fields.set(ACCESS_KEY, accessKey)
    if (securityToken !== undefined) fields.set(SECURITY_TOKEN, securityToken)
    const isOld = peerVersion > 0 && peerVersion < FIRST_OF_5
    fields.set(SIGNATURE, signatureOf(fields, body, secretKey, isOld ? UNIQUE_KEY_QUERY : undefined))
  }
}

/** True if the request carries the signature for this key. Signatures are compared in constant time. */
export function isSigned({ extFields, body }: Pick<Command, 'extFields' | 'body'>, secretKey: string): boolean {
  const signature = extFields?.get(SIGNATURE)
  if (extFields === null || signature === undefined) return false
  if (sameText(signature, signatureOf(extFields, body, secretKey))) return true
  // Servers of 4.9 leave this field out and those of 5.x include it, so clients may do either (Apache's PlainAccessValidator).
  return (
    extFields.has(UNIQUE_KEY_QUERY) && sameText(signature, signatureOf(extFields, body, secretKey, UNIQUE_KEY_QUERY))
  )
}

function sameText(given: string, expected: string): boolean {
  const [a, b] = [Buffer.from(given), Buffer.from(expected)]
  return a.length === b.length && crypto().timingSafeEqual(a, b)
}

/** What is wrong with the signature of a request. */
export type SignatureFault = 'no_access_key' | 'unknown_access_key' | 'wrong_signature'

/**
 * What is wrong with the signature of a request; undefined if it is right. A signature is computed only for known access keys.
 * @param secretKeyOf Returns the secret of an access key; undefined if the key is unknown.
 */
export function signatureFault(
  command: Pick<Command, 'extFields' | 'body'>,
  secretKeyOf: (accessKey: string) => string | undefined,
): SignatureFault | undefined {
  const accessKey = accessKeyOf(command)
  if (accessKey === undefined) return 'no_access_key'
  const secretKey = secretKeyOf(accessKey)
  if (secretKey === undefined) return 'unknown_access_key'
  return isSigned(command, secretKey) ? undefined : 'wrong_signature'
}

/** The access key in a request, which anyone may have written there. */
export function accessKeyOf({ extFields }: Pick<Command, 'extFields'>): string | undefined {
  return extFields?.get(ACCESS_KEY)
}

/**
 * A router hook that lets only signed requests pass; others get code 16 and the remarks of Apache 5.x.
 * @param secretKeyOf As of `signatureFault`.
 */
export function signatureCheck(secretKeyOf: (accessKey: string) => string | undefined): RequestHook {
  return {
    before(command) {
      const fault = signatureFault(command, secretKeyOf)
      if (fault !== undefined) throw new ResponseError(NO_PERMISSION, remarkOf(fault, accessKeyOf(command)))
    },
  }
}

// Apache's DefaultAuthenticationHandler.
function remarkOf(fault: SignatureFault, accessKey = ''): string {
  if (fault === 'no_access_key') return 'username cannot be null.'
  return fault === 'unknown_access_key' ? `User:${accessKey} is not found.` : 'check signature failed.'
}
