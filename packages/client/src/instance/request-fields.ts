import { signing } from '@gantrymq/remoting'
import { ClientError } from '../errors.ts'
import type { InstanceOptions } from './instance-options.ts'

type AddFields = (fields: Map<string, string>, body: Uint8Array | null, peerVersion: number) => void

/**
 * Adds the fields that every request has: namespace, zone, those of option onRequest, the signature. The signature comes
 * last because it covers all fields. Apache's client adds the zone after it, so that zones and signatures exclude each other
 * there (NettyRemotingClient).
 */
export function requestFields(
  options: Pick<InstanceOptions, 'namespaceV2' | 'zone' | 'zoneMode' | 'credentials' | 'onRequest'>,
): AddFields | undefined {
  const { namespaceV2, zone, zoneMode, credentials, onRequest } = options
  const fixed: [string, string][] = []
  if (namespaceV2 !== '') fixed.push(['nsd', 'true'], ['ns', namespaceV2])
  if (zone !== '') fixed.push(['__ZONE_NAME', zone])
  if (zoneMode !== '') fixed.push(['__ZONE_MODE', zoneMode])
  const sign = credentials === undefined ? undefined : signing(credentials)
  if (fixed.length === 0 && onRequest === undefined) return sign
  return (fields, body, peerVersion) => {
    for (const [name, value] of fixed) fields.set(name, value)
    if (onRequest !== undefined) callUser(onRequest, fields)
    sign?.(fields, body, peerVersion)
  }
}

function callUser(onRequest: (fields: Map<string, string>) => void, fields: Map<string, string>): void {
  try {
    onRequest(fields)
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new ClientError('BAD_OPTION', `option onRequest threw: ${why}`, { cause: error })
  }
}
