import { printableLines, RemotingError, ResponseError } from '@gantrymq/remoting'
import { responseCodes, responseName } from '@gantrymq/protocol'

/** The kind of failure. Codes are stable: branch on them, not on the message. */
export type ClientErrorCode =
  | 'ABORTED'
  | 'BACK_PRESSURE'
  | 'BAD_BODY'
  | 'BAD_NAME'
  | 'BAD_OPTION'
  | 'BROKER_MISSING'
  | 'BROKER_REFUSED'
  | 'CLOSED'
  | 'CONNECT_FAILED'
  | 'GROUP_TAKEN'
  | 'MESSAGE_ILLEGAL'
  | 'NOT_ASSIGNED'
  | 'NOT_FOUND'
  | 'NO_NAME_SERVER'
  | 'REPLY_TIMEOUT'
  | 'ROUTE_MISSING'
  | 'SEND_FAILED'
  | 'TIMEOUT'
  | 'TLS'
  | 'UNSUPPORTED'

export interface ClientErrorOptions extends ErrorOptions {
  /** True if the same call may succeed later or elsewhere. Default false. */
  readonly retriable?: boolean
  /** The server's response code if it answered; else the number of the failure in Apache's client, such as 10005. */
  readonly responseCode?: number | undefined
  /** The server's remark, verbatim. */
  readonly remark?: string | null | undefined
  /** `ip:port` of the server that answered or failed to. */
  readonly address?: string | undefined
  /** The name server's code for why a topic has no usable route, such as NO_MASTER; see its page `/why`. */
  readonly diagnosis?: string | undefined
}

/** The error of every failure of this client. */
export class ClientError extends Error {
  override readonly name: string = 'ClientError'
  readonly code: ClientErrorCode
  readonly retriable: boolean
  readonly responseCode: number | undefined
  readonly remark: string | undefined
  readonly address: string | undefined
  /** The name server's code for why a topic has no usable route, such as NO_MASTER. Undefined if it does not tell, as Apache's. */
  readonly diagnosis: string | undefined

  constructor(code: ClientErrorCode, message: string, options: ClientErrorOptions = {}) {
    super(printableLines(message), options)
    this.code = code
    this.retriable = options.retriable ?? false
    this.responseCode = options.responseCode
    this.remark = options.remark ?? undefined
    this.address = options.address
    this.diagnosis = options.diagnosis
  }
}

/** The numbers in Apache's ClientErrorCode. */
export const javaCodes = {
  connectBroker: 10001,
  accessTimeout: 10002,
  brokerMissing: 10003,
  noNameServer: 10004,
  topicMissing: 10005,
  requestTimeout: 10006,
  replyMessage: 10007,
} as const

/** Codes after which a retry may succeed, at another broker or later: Apache's DefaultMQProducer.retryResponseCodes. */
export const RETRY_RESPONSE_CODES: readonly number[] = Object.freeze([
  responseCodes.SYSTEM_ERROR,
  responseCodes.SYSTEM_BUSY,
  responseCodes.SERVICE_NOT_AVAILABLE,
  responseCodes.NO_PERMISSION,
  responseCodes.TOPIC_NOT_EXIST,
  responseCodes.NO_BUYER_ID,
  responseCodes.NOT_IN_CURRENT_UNIT,
  responseCodes.GO_AWAY,
])

const RETRIABLE_RESPONSES: ReadonlySet<number> = new Set([...RETRY_RESPONSE_CODES, responseCodes.FLOW_CONTROL])

/** A 4.9 broker refuses permission with code 1 and a remark that starts with this exception. */
const OLD_ACL = 'org.apache.rocketmq.acl.common.AclException'

/** What to do about a refusal, if its code is enough to tell. */
const ADVICE: Readonly<Record<number, string>> = {
  [responseCodes.REQUEST_CODE_NOT_SUPPORTED]:
    'the server does not know this request: it may be older, or be no broker but a name server or a proxy',
  [responseCodes.SYSTEM_BUSY]: 'the broker is busy: send more slowly, or to more brokers',
  [responseCodes.SERVICE_NOT_AVAILABLE]: "the broker's disk may be full, or it is shutting down: look at its log",
  [responseCodes.NO_PERMISSION]: 'check the permissions of topic and broker, and the credentials of this client',
  [responseCodes.TOPIC_NOT_EXIST]: 'create the topic, or allow brokers to create it (autoCreateTopicEnable)',
  [responseCodes.SUBSCRIPTION_NOT_EXIST]: 'the broker does not know this group before its next heartbeat',
  [responseCodes.SUBSCRIPTION_NOT_LATEST]:
    'the broker has an older subscription of this group: all members of a group must have the same subscriptions',
  [responseCodes.SUBSCRIPTION_GROUP_NOT_EXIST]:
    'create the group, or allow brokers to create it (autoCreateSubscriptionGroup)',
}

/** What to do about a refusal of credentials, by the words of PlainPermissionManager of 4.9 and DefaultAuthenticationHandler of 5.x. */
const CREDENTIALS_ADVICE: readonly (readonly [remark: RegExp, advice: string])[] = [
  [
    /No accessKey is configured|username cannot be null/,
    'the server takes signed requests only: set option credentials',
  ],
  [/check signature failed/i, 'check the secret key of option credentials'],
  [/No acl config for|User:\S* is not found/, 'the server does not know this access key: check option credentials'],
]

const FROM_REMOTING = {
  TIMEOUT: 'TIMEOUT',
  ABORTED: 'ABORTED',
  CLOSED: 'CONNECT_FAILED',
  CONNECT_FAILED: 'CONNECT_FAILED',
  TOO_MANY_IN_FLIGHT: 'BACK_PRESSURE',
  SLOW_READER: 'CONNECT_FAILED',
  BAD_FRAME: 'BAD_BODY',
  FRAME_TOO_LARGE: 'BAD_BODY',
  OUT_OF_MEMORY: 'CONNECT_FAILED',
  BAD_HEADER: 'BAD_BODY',
  BAD_BODY: 'BAD_BODY',
  BAD_OPTION: 'BAD_OPTION',
  GO_AWAY: 'CONNECT_FAILED',
  TLS: 'TLS',
  REFUSED: 'BROKER_REFUSED',
} as const satisfies Record<RemotingError['code'], ClientErrorCode>

/** What brokers say of topics, brokers and groups that may not be used; other refusals with the code NO_PERMISSION are about the user. */
const NOT_ABOUT_USER = /is forbidden|subscription group no permission|has no read permission/

/** True for a refusal because of the user: the ACL of 4.9, the permissions of 5.x, or a wrong signature. */
export function isAccessRefusal({ code, responseCode, remark = '' }: ClientError): boolean {
  return code === 'BROKER_REFUSED' && isAccessRemark(responseCode, remark)
}

function isAccessRemark(responseCode: number | undefined, remark: string | null): boolean {
  if (remark === null) return false
  return remark.startsWith(OLD_ACL) || (responseCode === responseCodes.NO_PERMISSION && !NOT_ABOUT_USER.test(remark))
}

/** Turns the error of a call to `address` into a ClientError. A ClientError is returned as it is. */
export function toClientError(error: unknown, address?: string): ClientError {
  if (error instanceof ClientError) return error
  if (error instanceof ResponseError) return refused(error, address)
  if (error instanceof RemotingError) return fromRemoting(error, address)
  const text = error instanceof Error ? error.message : String(error)
  return new ClientError('CONNECT_FAILED', text, { cause: error, address, retriable: true })
}

/**
 * Runs work that throws RemotingErrors, and throws ClientErrors instead.
 * @param subject What the error is about, as the beginning of its message.
 */
export function asClientErrors<T>(work: () => T, subject?: string): T {
  try {
    return work()
  } catch (error) {
    if (!(error instanceof RemotingError)) throw error
    const failure = toClientError(error)
    throw subject === undefined
      ? failure
      : new ClientError(failure.code, `${subject}: ${error.message}`, { cause: error })
  }
}

/** `, org.apache.rocketmq.X.method(X.java:7)` and other frames of a stack. */
const STACK_FRAME = /,?\s*(?:\bat\s+)?(?:[\w$]+\.)+[\w$<>]+\([\w$]+\.java(?::\d+)?\)/g
/** `org.apache.rocketmq.acl.common.AclException: ` */
const EXCEPTION = /\b(?:[a-z][\w$]*\.)+[A-Z][\w$]*(?:Exception|Error)\b(?::\s*)?/g
/** What the name of a class of a package is before its last part. */
const PACKAGE = /\b(?:[a-z][\w$]*\.){2,}(?=[A-Z])/g

/** The peer decides how long a remark is, and the expressions above take the square of that. */
const MAX_REMARK = 1000

/** A remark for people: its first line, without names of Java's classes and frames of its stacks. */
export function remarkText(remark: string | null | undefined): string {
  const [line = ''] = (remark ?? '').slice(0, MAX_REMARK).split('\n')
  const text = line
    .replace(STACK_FRAME, '')
    .replace(EXCEPTION, '')
    .replace(PACKAGE, '')
    .replace(/^CODE: \d+ +DESC: /, '')
    .trim()
  return text === '' ? 'no remark' : text
}

/** Who failed and why, as a list in which equal reasons stand once: `a, b (2 times): busy; c: gone`. */
export function reasonsText(failures: readonly { readonly who: string; readonly why: string }[]): string {
  return [...Map.groupBy(failures, ({ why }) => why)]
    .map(([why, same]) => {
      const names = [...Map.groupBy(same, ({ who }) => who)].map(([who, all]) =>
        all.length > 1 ? `${who} (${all.length} times)` : who,
      )
      return `${names.join(', ')}: ${why}`
    })
    .join('; ')
}

function refused(error: ResponseError, address: string | undefined): ClientError {
  const { responseCode, remark } = error
  const isDenied = isAccessRemark(responseCode, remark)
  const ofCredentials = CREDENTIALS_ADVICE.find(([said]) => isDenied && said.test(remark ?? ''))
  const advice = ofCredentials?.[1] ?? ADVICE[isDenied ? responseCodes.NO_PERMISSION : responseCode]
  const name = responseName(responseCode)
  const where = address === undefined ? 'the server' : address
  const text = `${where} refused with code ${name === String(responseCode) ? name : `${responseCode} (${name})`}: ${remarkText(remark)}`
  return new ClientError('BROKER_REFUSED', advice === undefined ? text : `${text}; ${advice}`, {
    cause: error,
    responseCode,
    remark,
    address,
    retriable: RETRIABLE_RESPONSES.has(responseCode) && !isDenied,
  })
}

function fromRemoting(error: RemotingError, address: string | undefined): ClientError {
  const code = FROM_REMOTING[error.code]
  const { message, retriable } = error
  // The cause of an abort is the reason that the caller gave.
  const cause = code === 'ABORTED' ? error.cause : error
  return new ClientError(code, message, { cause, retriable, address, responseCode: javaCodeOf(code) })
}

function javaCodeOf(code: ClientErrorCode): number | undefined {
  if (code === 'CONNECT_FAILED') return javaCodes.connectBroker
  return code === 'TIMEOUT' ? javaCodes.accessTimeout : undefined
}

/** The error of a call whose signal was aborted. */
export function aborted(signal: AbortSignal, what: string): ClientError {
  return new ClientError('ABORTED', `${what} was aborted`, { cause: signal.reason })
}

/** The error of a call on a closed object. */
export function closed(what: string): ClientError {
  return new ClientError('CLOSED', `${what} is closed`)
}
