import { type AclInfo, authRequests, type UserInfo } from '@gantrymq/protocol'
import type { CallOptions } from '../message/message.ts'
import { type AdminCalls, askEach, type Target } from './calls.ts'

/** The settings of a user. */
export interface UserSettings {
  readonly password?: string
  /** Default Normal. */
  readonly type?: 'Super' | 'Normal'
  readonly status?: 'enable' | 'disable'
}

/** The permissions of a subject on some resources. */
export interface Grant {
  /** `Topic:name`, `Group:name`, `Cluster:name`; `*` for all, `Topic:abc*` for a prefix. */
  readonly resources: readonly string[]
  /** All, Any, Pub, Sub, Create, Update, Delete, Get, List. */
  readonly actions: readonly string[]
  /** The client addresses that it applies to. Default: all. */
  readonly sourceIps?: readonly string[]
  /** Default Allow. */
  readonly decision?: 'Allow' | 'Deny'
}

/** The users and permissions of 5.x brokers, of which each has its own. 4.9 brokers have accounts: see `admin.acl`. */
export class Auth {
  readonly #calls: AdminCalls

  constructor(calls: AdminCalls) {
    this.#calls = calls
  }

  /** createUser. */
  async createUser(username: string, settings: UserSettings, target: Target, options: CallOptions = {}): Promise<void> {
    const deadline = this.#calls.deadline(options)
    const input = { header: { username }, body: userOf(username, { type: 'Normal', ...settings }) }
    await askEach(await this.#calls.brokersOf(target, deadline), ({ address }) =>
      this.#calls.ask(address, authRequests.AUTH_CREATE_USER, input, deadline),
    )
  }

  /** Changes the given settings of a user: updateUser. */
  async updateUser(username: string, changes: UserSettings, target: Target, options: CallOptions = {}): Promise<void> {
    const deadline = this.#calls.deadline(options)
    const input = { header: { username }, body: userOf(username, changes) }
    await askEach(await this.#calls.brokersOf(target, deadline), ({ address }) =>
      this.#calls.ask(address, authRequests.AUTH_UPDATE_USER, input, deadline),
    )
  }

  /** deleteUser. */
  async deleteUser(username: string, target: Target, options: CallOptions = {}): Promise<void> {
    const deadline = this.#calls.deadline(options)
    await askEach(await this.#calls.brokersOf(target, deadline), ({ address }) =>
      this.#calls.ask(address, authRequests.AUTH_DELETE_USER, { header: { username } }, deadline),
    )
  }

  /** A user of one broker, undefined if there is none: getUser. The result contains the password: never log it. */
  async user(username: string, target: Target, options: CallOptions = {}): Promise<UserInfo | undefined> {
    const deadline = this.#calls.deadline(options)
    const { address } = await this.#calls.brokerOf(target, deadline)
    const { body } = await this.#calls.ask(address, authRequests.AUTH_GET_USER, { header: { username } }, deadline)
    return body ?? undefined
  }

  /** The users of one broker whose name contains the filter: listUser. The result contains passwords: never log it. */
  async users(
    target: Target,
    { filter, ...options }: CallOptions & { readonly filter?: string } = {},
  ): Promise<readonly UserInfo[]> {
    const deadline = this.#calls.deadline(options)
    const { address } = await this.#calls.brokerOf(target, deadline)
    const { body } = await this.#calls.ask(address, authRequests.AUTH_LIST_USER, { header: { filter } }, deadline)
    return body ?? []
  }

  /** Grants permissions to a subject (`User:name`) that has none: createAcl. */
  async createAcl(subject: string, grant: Grant, target: Target, options: CallOptions = {}): Promise<void> {
    const deadline = this.#calls.deadline(options)
    const input = { header: { subject }, body: aclOf(subject, grant) }
    await askEach(await this.#calls.brokersOf(target, deadline), ({ address }) =>
      this.#calls.ask(address, authRequests.AUTH_CREATE_ACL, input, deadline),
    )
  }

  /** Sets the permissions of a subject on these resources: updateAcl. */
  async updateAcl(subject: string, grant: Grant, target: Target, options: CallOptions = {}): Promise<void> {
    const deadline = this.#calls.deadline(options)
    const input = { header: { subject }, body: aclOf(subject, grant) }
    await askEach(await this.#calls.brokersOf(target, deadline), ({ address }) =>
      this.#calls.ask(address, authRequests.AUTH_UPDATE_ACL, input, deadline),
    )
  }

  /** Revokes all permissions of a subject, or those on one resource: deleteAcl. */
  async deleteAcl(
    subject: string,
    target: Target,
    { resource, ...options }: CallOptions & { readonly resource?: string } = {},
  ): Promise<void> {
    const deadline = this.#calls.deadline(options)
    await askEach(await this.#calls.brokersOf(target, deadline), ({ address }) =>
      this.#calls.ask(address, authRequests.AUTH_DELETE_ACL, { header: { subject, resource } }, deadline),
    )
  }

  /** The permissions of a subject at one broker, undefined if it has none: getAcl. */
  async acl(subject: string, target: Target, options: CallOptions = {}): Promise<AclInfo | undefined> {
    const deadline = this.#calls.deadline(options)
    const { address } = await this.#calls.brokerOf(target, deadline)
    const { body } = await this.#calls.ask(address, authRequests.AUTH_GET_ACL, { header: { subject } }, deadline)
    return body ?? undefined
  }

  /** The permissions at one broker whose subject and resource contain the filters: listAcl. */
  async acls(
    target: Target,
    filters: CallOptions & { readonly subject?: string; readonly resource?: string } = {},
  ): Promise<readonly AclInfo[]> {
    const { subject, resource, ...options } = filters
    const deadline = this.#calls.deadline(options)
    const { address } = await this.#calls.brokerOf(target, deadline)
    const header = { subjectFilter: subject, resourceFilter: resource }
    const { body } = await this.#calls.ask(address, authRequests.AUTH_LIST_ACL, { header }, deadline)
    return body ?? []
  }
}

function userOf(username: string, { password, status, type }: UserSettings): UserInfo {
  return {
    username,
    ...(password !== undefined && { password }),
    ...(type !== undefined && { userType: type }),
    ...(status !== undefined && { userStatus: status }),
  }
}

function aclOf(subject: string, { resources, actions, sourceIps = [], decision = 'Allow' }: Grant): AclInfo {
  const entries = resources.map(resource => ({ resource, actions, sourceIps, decision }))
  return { subject, policies: [{ entries }] }
}
