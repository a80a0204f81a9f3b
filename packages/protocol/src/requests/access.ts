import { bool, header, optional, request, text } from '@gantrymq/remoting'
import { aclBody, aclListBody, plainAccessTableBody, userBody, userListBody } from '../bodies/access.ts'

/** Accounts and permissions in the access files of 4.9 brokers. 5.x brokers do not know these requests. */
export const plainAccessRequests = {
  UPDATE_AND_CREATE_ACL_CONFIG: request({
    code: 50,
    purpose: 'Creates an account, or changes the given fields of one (4.9).',
    header: header({
      accessKey: text(),
      secretKey: optional(text()),
      whiteRemoteAddress: optional(text()),
      admin: optional(bool()),
      defaultTopicPerm: optional(text()),
      defaultGroupPerm: optional(text()),
      /** `name=PERM`, joined with `,`. */
      topicPerms: optional(text()),
      /** As topicPerms. */
      groupPerms: optional(text()),
    }),
  }),
  DELETE_ACL_CONFIG: request({
    code: 51,
    purpose: 'Deletes an account (4.9).',
    header: header({ accessKey: text() }),
  }),
  GET_BROKER_CLUSTER_ACL_INFO: request({
    code: 52,
    purpose: 'Returns the versions of the access files (4.9). Brokers without ACL never answer.',
    reply: {
      header: header({
        /** A DataVersion in JSON. */
        version: text(),
        /** DataVersions by file name, in JSON. */
        allAclFileVersion: optional(text()),
        brokerName: text(),
        brokerAddr: text(),
        clusterName: text(),
      }),
    },
  }),
  UPDATE_GLOBAL_WHITE_ADDRS_CONFIG: request({
    code: 53,
    purpose: 'Replaces the addresses that need no credentials (4.9).',
    header: header({
      /** Joined with `,`. */
      globalWhiteAddrs: text(),
      /** Path of the file to change; empty for the default file. */
      aclFileFullPath: optional(text()),
    }),
  }),
  GET_BROKER_CLUSTER_ACL_CONFIG: request({
    code: 54,
    purpose: 'Returns all accounts with their secrets (4.9, removed in 4.9.8).',
    reply: { body: plainAccessTableBody },
  }),
}

/** Users and their permissions in 5.x brokers. */
export const authRequests = {
  AUTH_CREATE_USER: request({
    code: 3001,
    purpose: 'Creates a user (5.x).',
    header: header({ username: text() }),
    body: userBody,
  }),
  AUTH_UPDATE_USER: request({
    code: 3002,
    purpose: 'Changes the given fields of a user (5.x).',
    header: header({ username: text() }),
    body: userBody,
  }),
  AUTH_DELETE_USER: request({
    code: 3003,
    purpose: 'Deletes a user (5.x).',
    header: header({ username: text() }),
  }),
  AUTH_GET_USER: request({
    code: 3004,
    purpose: 'Returns a user (5.x); no body if the user does not exist.',
    header: header({ username: text() }),
    reply: { body: userBody },
  }),
  AUTH_LIST_USER: request({
    code: 3005,
    purpose: 'Returns the users whose names contain a text (5.x).',
    header: header({ filter: optional(text()) }),
    reply: { body: userListBody },
  }),
  AUTH_CREATE_ACL: request({
    code: 3006,
    purpose: 'Grants permissions to a subject that has none (5.x).',
    header: header({ subject: text() }),
    body: aclBody,
  }),
  AUTH_UPDATE_ACL: request({
    code: 3007,
    purpose: 'Changes the permissions of a subject (5.x).',
    header: header({ subject: text() }),
    body: aclBody,
  }),
  AUTH_DELETE_ACL: request({
    code: 3008,
    purpose: 'Removes the permissions of a subject, all of them or those on one resource (5.x).',
    header: header({
      subject: text(),
      /** `Custom` or `Default`. */
      policyType: optional(text()),
      resource: optional(text()),
    }),
  }),
  AUTH_GET_ACL: request({
    code: 3009,
    purpose: 'Returns the permissions of a subject (5.x); no body if it has none.',
    header: header({ subject: text() }),
    reply: { body: aclBody },
  }),
  AUTH_LIST_ACL: request({
    code: 3010,
    purpose: 'Returns the permissions whose subject and resource contain the given texts (5.x).',
    header: header({ subjectFilter: optional(text()), resourceFilter: optional(text()) }),
    reply: { body: aclListBody },
  }),
}
