import { nameServerRequests, responseCodes } from '@gantrymq/protocol'
import {
  accessKeyOf,
  type AddressRanges,
  type Command,
  ipOf,
  type Peer,
  printable,
  type RequestDeclaration,
  type RequestHook,
  ResponseError,
  type SignatureFault,
  signatureFault,
} from '@gantrymq/remoting'
import type { RefusalLog } from './refusal-log.ts'

export interface SignatureRequirementOptions {
  /** Which requests must be signed: those that change something, or all. */
  readonly requests: 'changes' | 'all'
  readonly secretKeyOf: (accessKey: string) => string | undefined
  /** Senders that need no signature for registrations: brokers of Apache 4.9 have no setting to sign. */
  readonly unsignedBrokers: AddressRanges
  readonly log: RefusalLog
  readonly onRefused: (reason: SignatureFault) => void
}

interface KnownRequest {
  readonly name: string
  readonly changes: RequestDeclaration['changes']
}

const requests: ReadonlyMap<number, KnownRequest> = new Map(
  Object.entries(nameServerRequests).map(([name, { code, changes }]) => [code, { name, changes }]),
)

/** Refuses requests that are not signed, before their headers and bodies are read. */
export class SignatureRequirement implements RequestHook {
  readonly #options: SignatureRequirementOptions

  constructor(options: SignatureRequirementOptions) {
    this.#options = options
  }

  before(command: Command, peer: Peer): void {
    const request = requests.get(command.code)
    if (request === undefined || this.#needsNone(request, peer)) return
    const fault = signatureFault(command, this.#options.secretKeyOf)
    if (fault !== undefined) throw this.#refusal(fault, request, command, peer)
  }

  #needsNone({ changes }: KnownRequest, peer: Peer): boolean {
    if (changes === 'nothing') return this.#options.requests === 'changes'
    return changes === 'registration' && this.#options.unsignedBrokers.includes(ipOf(peer.remoteAddress))
  }

  #refusal(reason: SignatureFault, request: KnownRequest, command: Command, peer: Peer): ResponseError {
    const accessKey = accessKeyOf(command)?.slice(0, SHOWN_LENGTH)
    this.#options.onRefused(reason)
    this.#options.log.note({ request: request.name, address: ipOf(peer.remoteAddress), reason, accessKey })
    return new ResponseError(responseCodes.NO_PERMISSION, remarkOf(reason, request, printable(accessKey ?? '')))
  }
}

/** Most characters shown of an access key. */
const SHOWN_LENGTH = 64

const HOW_TO_SIGN = {
  registration:
    'set innerClientAuthenticationCredentials and authenticationMetadataProvider of a 5.x broker; a 4.9 broker cannot ' +
    'sign, so add its address to unsignedBrokerRanges of the name server',
  settings: 'set accessKey and secretKey in conf/tools.yml of mqadmin, or credentials in the client',
  nothing: 'give the client an ACL hook, or set accessKey and secretKey in conf/tools.yml of mqadmin',
}

function remarkOf(reason: SignatureFault, { name, changes = 'nothing' }: KnownRequest, accessKey: string): string {
  if (reason === 'no_access_key') return `${name} must be signed for this name server: ${HOW_TO_SIGN[changes]}`
  if (reason === 'unknown_access_key') {
    return `${name}: the access key "${accessKey}" is not in the credentialsFile of this name server: add it, or use another`
  }
  return `${name}: the signature with access key "${accessKey}" is wrong: the credentialsFile of this name server has another secret key for it`
}
