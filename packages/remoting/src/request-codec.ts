import type { Command, SerializeType } from './command.ts'
import { ANNOUNCED_VERSION, type ConnectionOptions } from './connection-options.ts'
import { ResponseError } from './errors.ts'
import type { WrittenCommand } from './json-header.ts'
import type { CallInput, Reply, RequestDeclaration } from './request.ts'

/** Binary headers have two bytes for the code (Apache's RocketMQSerializable), so larger codes need JSON. */
const MAX_BINARY_CODE = 32_767

/** A request that has no opaque yet. */
export type UnnumberedRequest = Omit<WrittenCommand, 'opaque'> & { opaque: number; readonly body: Uint8Array | null }

/**
 * Encodes a request by its declaration.
 * @param peerVersion Passed to `onSend`.
 */
export function writeRequest<D extends RequestDeclaration>(
  declaration: D,
  input: CallInput<D>,
  flag: number,
  options: Pick<ConnectionOptions, 'onSend' | 'language' | 'version' | 'serializeType'>,
  peerVersion: number,
): UnnumberedRequest {
  const given: { readonly header?: unknown; readonly body?: unknown; readonly remark?: string | null } = input
  const body = given.body === undefined || given.body === null ? null : (declaration.body?.encode(given.body) ?? null)
  const { onSend, language = 'JAVA', version = ANNOUNCED_VERSION, serializeType: wanted = 'JSON' } = options
  const serializeType: SerializeType = declaration.code > MAX_BINARY_CODE ? 'JSON' : wanted
  const common = { code: declaration.code, language, version, flag, opaque: 0, remark: given.remark ?? null }
  const header = (given.header ?? {}) as never
  // If no hook adds fields, they are encoded as JSON text directly.
  if (onSend === undefined && serializeType === 'JSON' && declaration.header !== undefined) {
    return { ...common, extFields: null, fieldsText: declaration.header.json(header), body, serializeType }
  }
  const fields = declaration.header?.encode(header) ?? new Map<string, string>()
  onSend?.(fields, body, peerVersion)
  const extFields = declaration.header || fields.size > 0 ? fields : null
  return { ...common, extFields, fieldsText: undefined, body, serializeType }
}

/**
 * Decodes a reply by the declaration of its request.
 * @throws ResponseError if its code is neither 0 nor one of the reply codes in the declaration.
 */
export function readReply<const D extends RequestDeclaration>(declaration: D, command: Command): Reply<D> {
  const { reply } = declaration as RequestDeclaration
  const { code, remark } = command
  if (code !== 0 && !reply?.codes?.includes(code)) throw new ResponseError(code, remark)
  return {
    code,
    remark,
    header: reply?.header?.decode(command.extFields) as Reply<D>['header'],
    body: (command.body === null ? null : (reply?.body?.decode(command.body) ?? null)) as Reply<D>['body'],
    command,
  }
}
