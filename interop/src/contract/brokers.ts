import assert from 'node:assert/strict'
import { deflateSync } from 'node:zlib'
import type { Owner } from '../launch/launched-program.ts'
import type { RawConnection } from '../wire/raw-connection.ts'
import { parseFastjson, type RawFrame, type RawRequest } from '../wire/raw-frame.ts'
import { type ServerUnderTest } from './server-under-test.ts'
import { unique, uniqueAddress } from '../unique.ts'

export interface RawTopicConfig {
  readonly topicName: string
  readonly readQueueNums?: number
  readonly writeQueueNums?: number
  readonly perm?: number | null
  readonly topicFilterType?: string
  readonly topicSysFlag?: number
  readonly order?: boolean
}

export interface RawDataVersion {
  readonly counter: number
  readonly timestamp: number
  readonly stateVersion?: number
}

/** What a broker registers. */
export interface RawBroker {
  readonly cluster: string
  readonly name: string
  readonly id: number | string
  readonly address: string
  readonly haAddress: string
  readonly topics: readonly RawTopicConfig[]
  readonly dataVersion: RawDataVersion
  /** Adds header fields or replaces those above; undefined removes one. */
  readonly fields?: Readonly<Record<string, string | undefined>>
  /** Additional members of the topic wrapper. */
  readonly wrapper?: Readonly<Record<string, unknown>>
  readonly filterServers?: readonly string[]
}

export const VERSION: RawDataVersion = { counter: 1, timestamp: 1_700_000_000_000 }

export const topic = (topicName: string, more: Partial<RawTopicConfig> = {}): RawTopicConfig => ({
  topicName,
  readQueueNums: 4,
  writeQueueNums: 4,
  perm: 6,
  topicFilterType: 'SINGLE_TAG',
  topicSysFlag: 0,
  order: false,
  ...more,
})

/** A master with unique names and two topics: 5.x refuses the first registration of a broker with one. */
export function aBroker(more: Partial<RawBroker> = {}): RawBroker {
  const name = unique('broker')
  const address = uniqueAddress()
  return {
    cluster: unique('cluster'),
    name,
    id: 0,
    address,
    haAddress: address.replace('10911', '10912'),
    topics: [topic(unique('topic')), topic(unique('topic'))],
    dataVersion: VERSION,
    ...more,
  }
}

/** Another member of the group of a master. */
export function aSlaveOf(master: RawBroker, id: number, more: Partial<RawBroker> = {}): RawBroker {
  const address = uniqueAddress()
  return { ...master, id, address, haAddress: address.replace('10911', '10912'), ...more }
}

/** The names of a broker's topics. */
export function topicNames(broker: RawBroker): string[] {
  return broker.topics.map(config => config.topicName)
}

/** The topic wrapper of a registration: topics, data version and mappings. */
export function wrapperOf(broker: RawBroker): Record<string, unknown> {
  const topicConfigTable = Object.fromEntries(broker.topics.map(config => [config.topicName, config]))
  return { dataVersion: broker.dataVersion, topicConfigTable, ...broker.wrapper }
}

export function bodyOf(broker: RawBroker): string {
  return JSON.stringify({
    filterServerList: broker.filterServers ?? [],
    topicConfigSerializeWrapper: wrapperOf(broker),
  })
}

function sized(text: string): Buffer {
  const bytes = Buffer.from(text)
  return Buffer.concat([int32(bytes.length), bytes])
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

/** The compressed form of a registration body. `attributes` adds a sixth part to topics, `mappings` a block at the end. */
export function compressedBodyOf(
  broker: RawBroker,
  more: { attributes?: string; mappings?: readonly unknown[] } = {},
): Buffer {
  const topics = broker.topics.map(({ topicName, readQueueNums, writeQueueNums, perm, topicFilterType }) => {
    const parts = [topicName, readQueueNums, writeQueueNums, perm, topicFilterType]
    return sized((more.attributes === undefined ? parts : [...parts, more.attributes]).join(' '))
  })
  const mappings = more.mappings
    ? [int32(more.mappings.length), ...more.mappings.map(mapping => sized(JSON.stringify(mapping)))]
    : []
  return deflateSync(
    Buffer.concat([
      sized(JSON.stringify(broker.dataVersion)),
      int32(topics.length),
      ...topics,
      sized(JSON.stringify(broker.filterServers ?? [])),
      ...mappings,
    ]),
    { level: 9 },
  )
}

export function identityOf(broker: RawBroker): Record<string, string> {
  const { name, address, cluster, id } = broker
  return { brokerName: name, brokerAddr: address, clusterName: cluster, brokerId: String(id) }
}

function given(fields: Readonly<Record<string, string | undefined>>): Record<string, string> {
  return Object.fromEntries(Object.entries(fields).filter((entry): entry is [string, string] => entry[1] !== undefined))
}

/** REGISTER_BROKER. */
export function registration(broker: RawBroker, more: Partial<RawRequest> = {}): RawRequest {
  const extFields = given({ ...identityOf(broker), haServerAddr: broker.haAddress, ...broker.fields })
  return { code: 103, extFields, body: bodyOf(broker), ...more }
}

/** UNREGISTER_BROKER. */
export function unregistration(
  broker: RawBroker,
  fields: Readonly<Record<string, string | undefined>> = {},
): RawRequest {
  return { code: 104, extFields: given({ ...identityOf(broker), ...fields }) }
}

/** Registers a broker on a connection that stays open until the end of the case, and asserts that it was accepted. */
export async function join(
  server: ServerUnderTest,
  t: Owner,
  broker: RawBroker,
  more: Partial<RawRequest> = {},
): Promise<RawConnection> {
  const connection = await server.connect(t)
  const answer = await connection.call(registration(broker, more))
  assert.equal(answer.code, 0, answer.remark ?? '')
  return connection
}

export interface RawBrokerData {
  readonly brokerAddrs: Readonly<Record<string, string>>
  readonly brokerName: string
  readonly cluster: string
  readonly enableActingMaster?: boolean
  readonly zoneName?: string
}

export interface RawQueueData {
  readonly brokerName: string
  readonly perm: number
  readonly readQueueNums: number
  readonly writeQueueNums: number
  readonly topicSysFlag: number
}

export interface RawRoute {
  readonly brokerDatas: readonly RawBrokerData[]
  readonly filterServerTable: Readonly<Record<string, readonly string[]>>
  readonly queueDatas: readonly RawQueueData[]
  readonly orderTopicConf?: string
  readonly topicQueueMappingByBroker?: Readonly<Record<string, unknown>>
}

/** GET_ROUTEINFO_BY_TOPIC. */
export const routeQuery = (name: string, more: Partial<RawRequest> = {}): RawRequest => ({
  code: 105,
  extFields: { topic: name },
  ...more,
})

/** A topic's route; null if there is none. */
export async function routeOf(
  server: ServerUnderTest,
  name: string,
  more: Partial<RawRequest> = {},
): Promise<RawRoute | null> {
  const answer = await server.ask(routeQuery(name, more))
  if (answer.code === 17) return null
  assert.equal(answer.code, 0, answer.remark ?? '')
  return parseFastjson(answer.body) as RawRoute
}

interface RawClusterInfo {
  readonly brokerAddrTable: Readonly<Record<string, RawBrokerData>>
  readonly clusterAddrTable: Readonly<Record<string, readonly string[]>>
}

export async function clusterInfo(server: ServerUnderTest): Promise<RawClusterInfo> {
  return bodyJson(await server.ask({ code: 106 })) as RawClusterInfo
}

/** The addresses of a broker group by id; undefined if the name server does not know the group. */
export async function addressesOf(
  server: ServerUnderTest,
  name: string,
): Promise<Readonly<Record<string, string>> | undefined> {
  return (await clusterInfo(server)).brokerAddrTable[name]?.brokerAddrs
}

/** The body of an answer, which must be a success. */
export function bodyJson(answer: RawFrame): unknown {
  assert.equal(answer.code, 0, answer.remark ?? '')
  return parseFastjson(answer.body)
}

/** The topics in the answer to a list request. */
export async function topicList(
  server: ServerUnderTest,
  code: number,
  extFields?: Record<string, string>,
): Promise<string[]> {
  const list = bodyJson(await server.ask({ code, extFields })) as { readonly topicList: string[] }
  return list.topicList
}

/** The permission of a topic on a broker, from the topic's route. */
export async function permissionOf(
  server: ServerUnderTest,
  topicName: string,
  brokerName: string,
): Promise<number | undefined> {
  const route = await routeOf(server, topicName)
  return route?.queueDatas.find(queue => queue.brokerName === brokerName)?.perm
}
