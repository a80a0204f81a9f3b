import { clientIdOf, freshInstanceName, ownAddress } from './client-id.ts'
import { ClientInstance } from './client-instance.ts'
import { ClientError } from '../errors.ts'
import { instanceKey, sharedOptions } from './instance-key.ts'
import type { InstanceOptions } from './instance-options.ts'

/** One user's share of an instance. */
export interface InstanceLease {
  readonly instance: ClientInstance
  /**
   * Gives the share back. The last release closes the instance; calls that are in flight then may finish within `drainMs`
   * (default 0). Idempotent.
   */
  readonly release: (drainMs?: number) => Promise<void>
}

interface Shared {
  readonly instance: ClientInstance
  /** Groups whose consumer uses the instance, or is about to. */
  readonly consumerGroups: Set<string>
  leases: number
}

/** The instances in use, by what makes them the same; see `instanceKey`. */
const inUse = new Map<string, Shared>()

/**
 * The instance for these options, shared by all users with the same options; options that only a producer or a consumer has
 * do not count. Two consumers of one group never share an instance, because the members of a group need different client
 * ids.
 * @param consumerGroup The group of the consumer that will use the instance, with its namespace.
 * @throws ClientError GROUP_TAKEN if option instanceName is set and its instance has a consumer of this group
 */
export function acquireInstance(given: InstanceOptions, consumerGroup?: string): InstanceLease {
  const options = sharedOptions(given)
  for (let copy = 0; ; copy++) {
    const key = `${instanceKey(options)}|${copy}`
    const shared = inUse.get(key) ?? open(key, options)
    if (consumerGroup === undefined || !shared.consumerGroups.has(consumerGroup)) {
      return lease(key, shared, consumerGroup)
    }
    if (options.instanceName !== '') throw groupTaken(consumerGroup, options.instanceName)
  }
}

function open(key: string, options: InstanceOptions): Shared {
  const shared = {
    instance: new ClientInstance(options, freeId(options)),
    consumerGroups: new Set<string>(),
    leases: 0,
  }
  inUse.set(key, shared)
  return shared
}

// Brokers tell clients apart by their ids: instances with the same name that cannot be shared are numbered.
function freeId({ clientIp, instanceName, unitName }: InstanceOptions): string {
  const ip = clientIp === '' ? ownAddress() : clientIp
  const name = instanceName === '' ? freshInstanceName() : instanceName
  const taken = new Set([...inUse.values()].map(({ instance }) => instance.clientId))
  for (let copy = 1; ; copy++) {
    const id = clientIdOf(ip, copy === 1 ? name : `${name}#${copy}`, unitName)
    if (!taken.has(id)) return id
  }
}

function lease(key: string, shared: Shared, consumerGroup: string | undefined): InstanceLease {
  shared.leases++
  if (consumerGroup !== undefined) shared.consumerGroups.add(consumerGroup)
  const endLease = async (drainMs: number): Promise<void> => {
    if (consumerGroup !== undefined) shared.consumerGroups.delete(consumerGroup)
    if (--shared.leases > 0) return
    inUse.delete(key)
    await shared.instance.close(drainMs)
  }
  let releasing: Promise<void> | undefined
  return { instance: shared.instance, release: (drainMs = 0) => (releasing ??= endLease(drainMs)) }
}

// The first words are those of Apache's client.
function groupTaken(group: string, instanceName: string): ClientError {
  const advice = 'give this consumer another group or another instanceName'
  const text = `The consumer group[${group}] has been created before, by a consumer in this process with instanceName ${JSON.stringify(instanceName)}: ${advice}`
  return new ClientError('GROUP_TAKEN', text)
}
