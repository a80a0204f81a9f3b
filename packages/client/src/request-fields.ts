import { signing } from '@gantrymq/remoting'
import type { InstanceOptions } from './instance-options.ts'

type AddFields = (fields: Map<string, string>, body: Uint8Array | null) => void

/**
 * What every request carries beside its own fields: namespace, zone, signature. The signature comes last, as it covers all
 * fields; Apache's client adds the zone behind it, so that zones and signatures do not go together there.
 */
export function requestFields(
  options: Pick<InstanceOptions, 'namespaceV2' | 'zone' | 'zoneMode' | 'credentials'>,
): AddFields | undefined {
  const { namespaceV2, zone, zoneMode, credentials } = options
  const fixed: [string, string][] = []
  if (namespaceV2 !== '') fixed.push(['nsd', 'true'], ['ns', namespaceV2])
  if (zone !== '') fixed.push(['__ZONE_NAME', zone])
  if (zoneMode !== '') fixed.push(['__ZONE_MODE', zoneMode])
  const sign = credentials === undefined ? undefined : signing(credentials)
  if (fixed.length === 0) return sign
  return (fields, body) => {
    for (const [name, value] of fixed) fields.set(name, value)
    sign?.(fields, body)
  }
}
