import { type Bean, boolOf, type JsonObject, listOf, textOf, textsOf, toObject } from '@gantrymq/remoting'
import { jsonBody, jsonListBody } from './json-body.ts'

/** A user of a 5.x broker: Apache's UserInfo. An update leaves omitted members unchanged. */
export interface UserInfo {
  readonly username?: string
  readonly password?: string
  /** `Super` or `Normal`. */
  readonly userType?: string
  /** `enable` or `disable`. */
  readonly userStatus?: string
}

function userBean({ password, userStatus, userType, username }: UserInfo): Bean {
  return { password, userStatus, userType, username }
}

function readUser(object: JsonObject): UserInfo {
  const names = ['username', 'password', 'userType', 'userStatus'] as const
  const given = names.map(name => [name, textOf(object, name)] as const).filter(([, value]) => value !== undefined)
  return Object.fromEntries(given)
}

export const userBody = jsonBody<UserInfo>('UserInfo', userBean, readUser)
export const userListBody = jsonListBody<UserInfo>('UserInfo list', userBean, readUser)

/** What a subject may do to one resource. */
export interface AccessEntry {
  /** `Topic:T`, `Group:G` or `Cluster:C`; `*` and prefixes (`Topic:T*`) are patterns. */
  readonly resource: string
  /** All, Any, Pub, Sub, Create, Update, Delete, Get, List. */
  readonly actions: readonly string[]
  readonly sourceIps: readonly string[]
  /** `Allow` or `Deny`. */
  readonly decision: string
}

export interface AccessPolicy {
  /** `Custom` or `Default`; the broker assumes Custom if it is missing. */
  readonly policyType?: string
  readonly entries: readonly AccessEntry[]
}

/** The rules for a subject of a 5.x broker: Apache's AclInfo. */
export interface AclInfo {
  /** `User:name`. */
  readonly subject?: string
  readonly policies: readonly AccessPolicy[]
}

function entryBean({ actions, decision, resource, sourceIps }: AccessEntry): Bean {
  return { actions, decision, resource, sourceIps }
}

function readEntry(object: JsonObject): AccessEntry {
  return {
    resource: textOf(object, 'resource') ?? '',
    actions: textsOf(object, 'actions') ?? [],
    sourceIps: textsOf(object, 'sourceIps') ?? [],
    decision: textOf(object, 'decision') ?? '',
  }
}

function readPolicy(object: JsonObject): AccessPolicy {
  const policyType = textOf(object, 'policyType')
  const entries = (listOf(object, 'entries') ?? []).map(item => readEntry(toObject(item, 'entries')))
  return { ...(policyType === undefined ? undefined : { policyType }), entries }
}

function aclBean({ policies, subject }: AclInfo): Bean {
  return {
    policies: policies.map(({ entries, policyType }) => ({ entries: entries.map(entryBean), policyType })),
    subject,
  }
}

function readAcl(object: JsonObject): AclInfo {
  const subject = textOf(object, 'subject')
  const policies = (listOf(object, 'policies') ?? []).map(item => readPolicy(toObject(item, 'policies')))
  return { ...(subject === undefined ? undefined : { subject }), policies }
}

export const aclBody = jsonBody<AclInfo>('AclInfo', aclBean, readAcl)
export const aclListBody = jsonListBody<AclInfo>('AclInfo list', aclBean, readAcl)

/** An account of a 4.9 broker: Apache's PlainAccessConfig. */
export interface PlainAccess {
  readonly accessKey: string
  readonly secretKey?: string
  readonly whiteRemoteAddress?: string
  readonly admin: boolean
  readonly defaultTopicPerm?: string
  readonly defaultGroupPerm?: string
  /** `topic=PUB|SUB`. */
  readonly topicPerms: readonly string[]
  /** `group=SUB`. */
  readonly groupPerms: readonly string[]
}

/** Everything in the access files of a broker before 4.9.8: Apache's AclConfig. */
export interface PlainAccessTable {
  readonly globalWhiteAddrs: readonly string[]
  readonly accounts: readonly PlainAccess[]
}

function accountBean(account: PlainAccess): Bean {
  return {
    accessKey: account.accessKey,
    admin: account.admin,
    defaultGroupPerm: account.defaultGroupPerm,
    defaultTopicPerm: account.defaultTopicPerm,
    groupPerms: account.groupPerms,
    secretKey: account.secretKey,
    topicPerms: account.topicPerms,
    whiteRemoteAddress: account.whiteRemoteAddress,
  }
}

function readAccount(object: JsonObject): PlainAccess {
  const names = ['secretKey', 'whiteRemoteAddress', 'defaultTopicPerm', 'defaultGroupPerm'] as const
  const given = names.map(name => [name, textOf(object, name)] as const).filter(([, value]) => value !== undefined)
  return {
    accessKey: textOf(object, 'accessKey') ?? '',
    admin: boolOf(object, 'admin', false),
    topicPerms: textsOf(object, 'topicPerms') ?? [],
    groupPerms: textsOf(object, 'groupPerms') ?? [],
    ...Object.fromEntries(given),
  }
}

export const plainAccessTableBody = jsonBody<PlainAccessTable>(
  'GetBrokerClusterAclConfigResponseBody',
  ({ accounts, globalWhiteAddrs }) => ({ globalWhiteAddrs, plainAccessConfigs: accounts.map(accountBean) }),
  object => ({
    globalWhiteAddrs: textsOf(object, 'globalWhiteAddrs') ?? [],
    accounts: (listOf(object, 'plainAccessConfigs') ?? []).map(item =>
      readAccount(toObject(item, 'plainAccessConfigs')),
    ),
  }),
)
