import { defaultGroupConfig } from '@gantrymq/protocol'
import { ClientError } from '../errors.ts'
import {
  callOptions,
  date,
  type FieldTable,
  flag,
  name,
  object,
  oneOf,
  optional,
  problemWith,
  queue,
  type Rule,
  shown,
  text,
  texts,
  whole,
} from '../fields.ts'
import type { Acl } from './acl.ts'
import type { Auth } from './auth.ts'
import type { Brokers } from './brokers.ts'
import type { Clusters } from './clusters.ts'
import type { Config } from './config.ts'
import type { Consumers, Producers } from './connections.ts'
import type { Groups } from './groups.ts'
import type { Messages } from './messages.ts'
import type { Offsets } from './offsets.ts'
import type { Permissions } from './permissions.ts'
import type { Stats } from './stats.ts'
import type { Topics } from './topics.ts'
import type { Tracks } from './tracks.ts'

/** A parameter: its name and what it has to be. */
type Parameter = readonly [name: string, rule: Rule]

/** The parameters of each method of a class. */
type ParameterTable<T> = {
  readonly [K in keyof T as T[K] extends (...args: never[]) => unknown ? K : never]: readonly Parameter[]
}

/**
 * Makes the methods of an object refuse arguments that its table does not allow, for callers without types: with a rejection, or by
 * throwing if the method returns no promise.
 * @param where The object, as users write it: `admin.topics`.
 */
export function strict<T extends object>(where: string, object: T, table: ParameterTable<T>): T {
  for (const [method, parameters] of Object.entries<readonly Parameter[]>(table)) {
    const original = (object as Readonly<Record<string, (...args: unknown[]) => unknown>>)[method]
    if (original === undefined) continue
    const checked = (...args: unknown[]): unknown => {
      const error = argumentError(`${where}.${method}`, args, parameters)
      if (error === undefined) return original.apply(object, args)
      if (SYNCHRONOUS.has(`${where}.${method}`)) throw error
      return Promise.reject(error)
    }
    Object.defineProperty(object, method, { value: checked })
  }
  return object
}

/** Methods that return no promise. */
const SYNCHRONOUS: ReadonlySet<string> = new Set(['admin.messages.between', 'admin.clusters.nameServers'])

/** What is wrong with the arguments of a call. */
function argumentError(
  call: string,
  args: readonly unknown[],
  parameters: readonly Parameter[],
): ClientError | undefined {
  for (const [at, [parameter, rule]] of parameters.entries()) {
    const problem = problemWith(parameter, args[at], rule)
    if (problem === undefined) continue
    const isName = rule.expected.includes('the name of')
    return new ClientError(
      isName ? 'BAD_NAME' : 'BAD_OPTION',
      `${call}: ${problem}. It takes (${signature(parameters)})`,
    )
  }
  if (args.length <= parameters.length) return undefined
  const more = args.slice(parameters.length).map(shown).join(', ')
  return new ClientError('BAD_OPTION', `${call} takes (${signature(parameters)}), and got more: ${more}`)
}

function signature(parameters: readonly Parameter[]): string {
  return parameters.map(([parameter, { isOptional }]) => (isOptional === true ? `${parameter}?` : parameter)).join(', ')
}

// -- The tables --------------------------------------------------------------------------------------------------------

const TARGETS = ['broker', 'brokerName', 'cluster', 'topic']

const isTarget = (value: unknown): boolean => {
  if (typeof value !== 'object' || value === null) return false
  const [field, ...more] = Object.keys(value)
  const given: unknown = field === undefined ? undefined : (value as Readonly<Record<string, unknown>>)[field]
  return more.length === 0 && TARGETS.includes(field ?? '') && typeof given === 'string' && given.trim() !== ''
}

const targetRule: Rule = {
  expected: "one of { broker: 'ip:port' }, { brokerName }, { cluster } and { topic }",
  accepts: isTarget,
}

const withFields = (more: FieldTable): Parameter => ['options', callOptions(more)]
const options = withFields({})
const target: Parameter = ['target', targetRule]
const topic: Parameter = ['topic', name('a topic')]
const group: Parameter = ['group', name('a group')]
const queueOf: Parameter = ['queue', queue]
const offset: Parameter = ['offset', whole(0)]
const textOf = (parameter: string): Parameter => [parameter, name(`a ${parameter}`)]

/** Fields with the types of those of an example. */
function like(example: object, more: FieldTable = {}): FieldTable {
  const rules = Object.entries(example).map(([field, value]): [string, Rule] => [
    field,
    optional({ expected: `a ${typeof value}`, accepts: given => typeof given === typeof value }),
  ])
  return { ...Object.fromEntries(rules), ...more }
}

const attributes = optional(object('an object of strings'))
const queues = optional(whole(1, 65_536))
const topicSettings = object('an object of settings', {
  queues,
  readQueues: optional(whole(0, 65_536)),
  writeQueues: optional(whole(0, 65_536)),
  perm: optional(whole(0, 7)),
  filterType: optional(oneOf('SINGLE_TAG', 'MULTI_TAG')),
  sysFlag: optional(whole(0, 3)),
  order: optional(flag),
  attributes,
})
const { groupName: _, ...groupDefaults } = defaultGroupConfig('g') as { readonly groupName: string }
const groupSettings = object(
  'an object of settings',
  like(groupDefaults, { attributes, groupRetryPolicy: optional(object('an object')) }),
)
const records = (what: string): Rule => ({
  expected: `an array of ${what}`,
  accepts: value => Array.isArray(value) && value.every(each => typeof each === 'object' && each !== null),
})
const changes: Parameter = [
  'changes',
  {
    expected: 'an object of settings by name, each a string, a number or a boolean',
    accepts: value =>
      typeof value === 'object' &&
      value !== null &&
      !Array.isArray(value) &&
      Object.values(value).every(each => ['string', 'number', 'boolean'].includes(typeof each)),
  },
]
const user = object('an object', {
  password: optional(text),
  type: optional(oneOf('Super', 'Normal')),
  status: optional(oneOf('enable', 'disable')),
})
const grant = object('{ resources, actions }', {
  resources: texts,
  actions: texts,
  sourceIps: optional(texts),
  decision: optional(oneOf('Allow', 'Deny')),
})
const account = object('{ accessKey, secretKey }', {
  accessKey: name('an account'),
  secretKey: text,
  whiteRemoteAddress: optional(text),
  admin: optional(flag),
  defaultTopicPerm: optional(text),
  defaultGroupPerm: optional(text),
  topics: optional(object('an object of permissions by topic')),
  groups: optional(object('an object of permissions by group')),
})
const range = { from: optional(date), to: optional(date) }

export const topicsParameters: ParameterTable<Topics> = {
  create: [topic, target, ['settings', optional(topicSettings)], options],
  update: [topic, target, ['changes', topicSettings], options],
  createMany: [['topics', records('topic configurations')], target, options],
  delete: [topic, target, options],
  forget: [topic, withFields({ cluster: optional(name('a cluster')) })],
  list: [withFields({ cluster: optional(name('a cluster')) })],
  route: [topic, options],
  why: [topic, options],
  clusters: [topic, options],
  config: [topic, target, options],
  configs: [target, options],
  groups: [topic, options],
  ofSystem: [target, options],
  orderConf: [topic, options],
  setOrderConf: [
    topic,
    [
      'value',
      {
        expected: 'a string such as broker-a:4;broker-b:4, or null',
        accepts: value => value === null || typeof value === 'string',
      },
    ],
    options,
  ],
}

export const groupsParameters: ParameterTable<Groups> = {
  create: [group, target, ['settings', optional(groupSettings)], options],
  update: [group, target, ['changes', groupSettings], options],
  createMany: [['groups', records('group configurations')], target, options],
  list: [target, options],
  config: [group, target, options],
  delete: [group, target, withFields({ offsets: optional(flag) })],
  topics: [group, target, options],
  subscription: [group, topic, target, options],
  forbidden: [group, topic, target, withFields({ readable: optional(flag) })],
  setConsumeMode: [
    group,
    topic,
    ['mode', oneOf('PULL', 'POP')],
    target,
    withFields({ shareQueues: optional(whole(0)) }),
  ],
  exists: [group, options],
}

const cluster: Parameter = ['cluster', name('a cluster')]

export const clustersParameters: ParameterTable<Clusters> = {
  info: [options],
  names: [options],
  masters: [cluster, options],
  members: [['cluster', optional(name('a cluster'))], options],
  nameServers: [],
}

export const brokersParameters: ParameterTable<Brokers> = {
  runtimeInfo: [target, options],
  cleanExpiredConsumeQueues: [target, options],
  cleanUnusedTopics: [target, options],
  deleteExpiredCommitLog: [target, options],
  consumeQueue: [
    [
      'query',
      object('{ queue, index }', {
        queue,
        index: whole(0),
        count: optional(whole(1)),
        group: optional(name('a group')),
      }),
    ],
    options,
  ],
  setColdReadLimit: [group, ['limit', whole(0)], target, options],
  removeColdReadLimit: [group, target, options],
  coldReadInfo: [target, options],
  setReadAhead: [['on', flag], target, options],
}

const id: Parameter = [
  'id',
  { expected: 'a string: the id of a message', accepts: value => typeof value === 'string' && value !== '' },
]

export const messagesParameters: ParameterTable<Messages> = {
  byId: [topic, id, options],
  byUniqueId: [topic, id, options],
  byKey: [topic, ['key', text], withFields({ max: optional(whole(1)), ...range })],
  at: [queueOf, offset, options],
  between: [topic, withFields({ ...range, queue: optional(queue), tags: optional(text) })],
  resumeHalfMessage: [topic, id, options],
}

const resetPoint: Rule = {
  expected: "a Date, 'begin' or 'end'",
  accepts: value => value === 'begin' || value === 'end' || date.accepts(value),
}

export const offsetsParameters: ParameterTable<Offsets> = {
  min: [queueOf, options],
  max: [queueOf, options],
  atTime: [queueOf, ['time', date], options],
  earliestTime: [queueOf, options],
  committed: [group, queueOf, options],
  commit: [group, queueOf, offset, options],
  ofBroker: [target, options],
  ofDelays: [target, options],
  reset: [
    [
      'reset',
      object('{ group, topic, to }', { group: group[1], topic: topic[1], to: resetPoint, force: optional(flag) }),
    ],
    options,
  ],
  resetQueue: [group, queueOf, offset, options],
  clone: [['groups', object('{ from, to, topic }', { from: group[1], to: group[1], topic: topic[1] })], options],
}

const clientId = name('a client id')

export const consumersParameters: ParameterTable<Consumers> = {
  connections: [group, withFields({ target: optional(targetRule) })],
  runningInfo: [group, ['clientId', clientId], withFields({ stack: optional(flag) })],
  consumeDirectly: [
    ['what', object('{ group, clientId, topic, id }', { group: group[1], clientId, topic: topic[1], id: id[1] })],
    options,
  ],
  status: [group, topic, withFields({ clientId: optional(clientId) })],
}

export const producersParameters: ParameterTable<Producers> = {
  connections: [group, topic, options],
  ofBroker: [target, options],
}

export const statsParameters: ParameterTable<Stats> = {
  ofTopic: [topic, options],
  ofGroup: [group, withFields({ topic: optional(topic[1]) })],
  ofBroker: [target, withFields({ orderly: optional(flag) })],
  timeSpans: [group, topic, options],
  counter: [textOf('counter'), ['key', text], target, options],
}

export const tracksParameters: ParameterTable<Tracks> = {
  of: [
    [
      'message',
      {
        expected: 'a message that admin.messages found',
        accepts: value => typeof value === 'object' && value !== null,
      },
    ],
    options,
  ],
}

const namespace = textOf('namespace')
const key = textOf('key')

export const configParameters: ParameterTable<Config> = {
  ofBroker: [target, options],
  updateBroker: [changes, target, options],
  ofNameServers: [options],
  updateNameServers: [changes, options],
  getKV: [namespace, key, options],
  listKV: [namespace, options],
  putKV: [namespace, key, ['value', text], options],
  deleteKV: [namespace, key, options],
}

const brokerName: Parameter = ['brokerName', name('a broker')]

export const permissionsParameters: ParameterTable<Permissions> = {
  wipeWrite: [brokerName, options],
  addWrite: [brokerName, options],
}

const accessKey: Parameter = ['accessKey', name('an account')]

export const aclParameters: ParameterTable<Acl> = {
  put: [['account', account], target, options],
  delete: [accessKey, target, options],
  setWhiteAddresses: [['addresses', texts], target, withFields({ file: optional(text) })],
  versions: [target, options],
  accounts: [target, options],
}

const username: Parameter = ['username', name('a user')]
const subject: Parameter = ['subject', name('a subject, such as User:orders')]

export const authParameters: ParameterTable<Auth> = {
  createUser: [username, ['settings', user], target, options],
  updateUser: [username, ['changes', user], target, options],
  deleteUser: [username, target, options],
  user: [username, target, options],
  users: [target, withFields({ filter: optional(text) })],
  createAcl: [subject, ['grant', grant], target, options],
  updateAcl: [subject, ['grant', grant], target, options],
  deleteAcl: [subject, target, withFields({ resource: optional(text) })],
  acl: [subject, target, options],
  acls: [target, withFields({ subject: optional(text), resource: optional(text) })],
}
