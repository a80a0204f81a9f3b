import { crc32 } from 'node:zlib'
import {
  encodeRegisterBroker,
  MASTER_ID,
  nameServerRequests,
  OUR_VERSION,
  PERM_READ,
  PERM_WRITE,
  type TopicConfig,
  type TopicConfigTable,
  V5_0_0,
} from '@gantrymq/protocol'
import type { CallInput } from '@gantrymq/remoting'

/** Who registers. */
export interface BrokerIdentity {
  readonly brokerClusterName: string
  readonly brokerName: string
  /** `host:port` for clients. */
  readonly address: string
  /** `host:port` for slaves; Apache's HA address. */
  readonly haAddress: string
}

export interface RegistrationContent extends TopicConfigTable {
  /** The option brokerPermission. */
  readonly permission: number
  /** The option compressedRegister. */
  readonly compressed: boolean
}

type Input<Name extends keyof typeof nameServerRequests> = CallInput<(typeof nameServerRequests)[Name]>

/** The header that identifies the broker in requests to name servers. */
export function identityHeader({ brokerClusterName, brokerName, address }: BrokerIdentity) {
  return { clusterName: brokerClusterName, brokerName, brokerAddr: address, brokerId: MASTER_ID }
}

/**
 * A registration: Apache's BrokerOuterAPI.registerBroker. Name servers of 4.9 ignore the members of 5.x in JSON, but cannot read
 * them in a compressed body.
 * @param serverVersion The version that the name server announced; undefined if it is not known yet. Then the body is not compressed.
 */
export function registration(
  identity: BrokerIdentity,
  content: RegistrationContent,
  serverVersion: number | undefined,
): Input<'REGISTER_BROKER'> {
  const compressed = content.compressed && serverVersion !== undefined
  const version = compressed && serverVersion < V5_0_0 ? serverVersion : OUR_VERSION
  const body = encodeRegisterBroker(
    {
      dataVersion: content.dataVersion,
      topics: permitted(content.topics, content.permission),
      topicQueueMappings: new Map(),
      filterServers: [],
    },
    { version, compressed },
  )
  return {
    header: {
      ...identityHeader(identity),
      haServerAddr: identity.haAddress,
      enableActingMaster: false,
      compressed,
      bodyCrc32: crc32(body) & 0x7f_ff_ff_ff,
    },
    body,
  }
}

// A broker that may not be read or written takes the permission from all its topics (BrokerController.registerBrokerAll of 5.x).
function permitted(topics: ReadonlyMap<string, TopicConfig>, permission: number): ReadonlyMap<string, TopicConfig> {
  const both = PERM_READ | PERM_WRITE
  if ((permission & both) === both) return topics
  return new Map(Array.from(topics, ([name, config]) => [name, { ...config, perm: config.perm & permission }]))
}
