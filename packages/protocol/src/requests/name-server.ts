import {
  bigLong,
  bool,
  defaulted,
  header,
  int,
  long,
  optional,
  type RequestDeclaration,
  request,
  text,
} from '@gantrymq/remoting'
import { brokerMemberGroupBody, clusterInfoBody } from '../bodies/cluster-info.ts'
import { dataVersionBody, optionalDataVersionBody } from '../bodies/data-version.ts'
import { kvTableBody, propertiesBody, rawBody, topicListBody } from '../bodies/tables.ts'
import { topicRouteBody } from '../bodies/topic-route.ts'

/** A name server may ask for signatures, so each of its requests says what it changes. */
type NameServerRequest = RequestDeclaration & Required<Pick<RequestDeclaration, 'changes'>>

/**
 * The requests that name servers of 4.9 and 5.5.0 serve.
 *
 * A field is required here only if both lines fail without it, or store an incomplete entry that cannot be removed. If one of
 * them gives a sensible answer, the field is optional and the handler decides.
 */
export const nameServerRequests = {
  PUT_KV_CONFIG: request({
    code: 100,
    changes: 'settings',
    purpose: 'Stores a value under a namespace and key.',
    header: header({ namespace: optional(text()), key: optional(text()), value: optional(text()) }),
  }),
  GET_KV_CONFIG: request({
    code: 101,
    changes: 'nothing',
    purpose: 'Returns the value of a namespace and key.',
    header: header({ namespace: optional(text()), key: optional(text()) }),
    reply: { header: header({ value: optional(text()) }) },
  }),
  DELETE_KV_CONFIG: request({
    code: 102,
    changes: 'settings',
    purpose: 'Deletes the value of a namespace and key.',
    header: header({ namespace: optional(text()), key: optional(text()) }),
  }),
  REGISTER_BROKER: request({
    code: 103,
    changes: 'registration',
    purpose: 'Registers a broker and its topics, at its start and every 30 seconds.',
    header: header({
      brokerName: text(),
      brokerAddr: text(),
      clusterName: text(),
      haServerAddr: optional(text()),
      /** 0 is the master. */
      brokerId: bigLong(),
      heartbeatTimeoutMillis: optional(long()),
      /** 5.x brokers always send it; if it is absent, the broker is one of 4.9. */
      enableActingMaster: optional(bool()),
      compressed: defaulted(bool(), false),
      /** CRC-32 of the body as sent, without its sign bit. 0: the body is not checked. */
      bodyCrc32: defaulted(int(), 0),
      __ZONE_NAME: optional(text()),
    }),
    // The form of the body depends on the header and the sender's version: see decodeRegisterBroker.
    body: rawBody('RegisterBrokerBody'),
    reply: {
      header: header({ haServerAddr: optional(text()), masterAddr: optional(text()) }),
      // An empty table differs from no body: with an empty table, a broker clears the order flag of all its topics.
      body: kvTableBody,
    },
  }),
  UNREGISTER_BROKER: request({
    code: 104,
    changes: 'registration',
    purpose: 'Removes a broker.',
    header: header({ brokerName: text(), brokerAddr: text(), clusterName: text(), brokerId: bigLong() }),
  }),
  GET_ROUTEINFO_BY_TOPIC: request({
    code: 105,
    changes: 'nothing',
    purpose: 'Returns the queues of a topic and the addresses of their brokers.',
    header: header({
      topic: optional(text()),
      acceptStandardJsonOnly: optional(bool()),
      __ZONE_MODE: optional(bool()),
      __ZONE_NAME: optional(text()),
    }),
    reply: { body: topicRouteBody },
  }),
  GET_BROKER_CLUSTER_INFO: request({
    code: 106,
    changes: 'nothing',
    purpose: 'Returns all clusters and brokers.',
    reply: { body: clusterInfoBody },
  }),
  WIPE_WRITE_PERM_OF_BROKER: request({
    code: 205,
    changes: 'settings',
    purpose: 'Removes the write permission from all topics of a broker.',
    header: header({ brokerName: optional(text()) }),
    reply: { header: header({ wipeTopicCount: int() }) },
  }),
  GET_ALL_TOPIC_LIST_FROM_NAMESERVER: request({
    code: 206,
    changes: 'nothing',
    purpose: 'Returns the names of all topics.',
    reply: { body: topicListBody },
  }),
  DELETE_TOPIC_IN_NAMESRV: request({
    code: 216,
    changes: 'settings',
    purpose: 'Deletes a topic from the name server, or its queues on the brokers of one cluster.',
    header: header({ topic: optional(text()), clusterName: optional(text()) }),
  }),
  REGISTER_TOPIC_IN_NAMESRV: request({
    code: 217,
    changes: 'registration',
    purpose: 'Adds one topic without a complete registration (5.x); only the queues of the route are used.',
    header: header({ topic: text() }),
    // Read in slices: see readQueueDatas.
    body: rawBody('TopicRouteData'),
  }),
  GET_KVLIST_BY_NAMESPACE: request({
    code: 219,
    changes: 'nothing',
    purpose: 'Returns all keys and values of a namespace.',
    header: header({ namespace: optional(text()) }),
    reply: { body: kvTableBody },
  }),
  GET_TOPICS_BY_CLUSTER: request({
    code: 224,
    changes: 'nothing',
    purpose: 'Returns the topics of a cluster.',
    header: header({ cluster: optional(text()) }),
    reply: { body: topicListBody },
  }),
  GET_SYSTEM_TOPIC_LIST_FROM_NS: request({
    code: 304,
    changes: 'nothing',
    purpose: 'Returns the names of clusters and brokers, which are topics too, and the address of any broker.',
    reply: { body: topicListBody },
  }),
  GET_UNIT_TOPIC_LIST: request({
    code: 311,
    changes: 'nothing',
    purpose: 'Returns the topics of units.',
    reply: { body: topicListBody },
  }),
  GET_HAS_UNIT_SUB_TOPIC_LIST: request({
    code: 312,
    changes: 'nothing',
    purpose: 'Returns the topics that units subscribe to.',
    reply: { body: topicListBody },
  }),
  GET_HAS_UNIT_SUB_UNUNIT_TOPIC_LIST: request({
    code: 313,
    changes: 'nothing',
    purpose: 'Returns the topics that units subscribe to but that do not belong to a unit.',
    reply: { body: topicListBody },
  }),
  UPDATE_NAMESRV_CONFIG: request({
    code: 318,
    changes: 'settings',
    purpose: 'Changes settings of the running name server.',
    body: propertiesBody,
  }),
  GET_NAMESRV_CONFIG: request({
    code: 319,
    changes: 'nothing',
    purpose: 'Returns all settings.',
    reply: { body: propertiesBody },
  }),
  QUERY_DATA_VERSION: request({
    code: 322,
    changes: 'registration',
    purpose: "Asks whether the name server has the current version of a broker's topics; also counts as a heartbeat.",
    header: header({
      brokerName: optional(text()),
      brokerAddr: optional(text()),
      clusterName: optional(text()),
      brokerId: optional(bigLong()),
    }),
    body: optionalDataVersionBody,
    reply: { header: header({ changed: bool() }), body: dataVersionBody },
  }),
  ADD_WRITE_PERM_OF_BROKER: request({
    code: 327,
    changes: 'settings',
    purpose: 'Restores the write permission of all topics of a broker.',
    header: header({ brokerName: optional(text()) }),
    reply: { header: header({ addTopicCount: int() }) },
  }),
  GET_BROKER_MEMBER_GROUP: request({
    code: 901,
    changes: 'nothing',
    purpose: 'Returns the addresses of one broker group (5.x).',
    header: header({ clusterName: optional(text()), brokerName: optional(text()) }),
    reply: { body: brokerMemberGroupBody },
  }),
  BROKER_HEARTBEAT: request({
    code: 904,
    changes: 'registration',
    purpose: 'Heartbeat of a broker (5.x), mostly one-way.',
    header: header({
      clusterName: text(),
      brokerAddr: text(),
      brokerName: optional(text()),
      brokerId: optional(bigLong()),
      epoch: optional(int()),
      maxOffset: optional(bigLong()),
      confirmOffset: optional(bigLong()),
      /** The wire has this spelling, unlike REGISTER_BROKER's heartbeatTimeoutMillis. */
      heartbeatTimeoutMills: optional(long()),
      electionPriority: optional(int()),
    }),
  }),
} satisfies Readonly<Record<string, NameServerRequest>>
