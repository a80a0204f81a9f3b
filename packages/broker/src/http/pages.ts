import {
  checkParameters,
  jsonListPage,
  jsonPage,
  type Page,
  pickPart,
  readPageQuery,
  Refusal,
  type ServerPage,
} from '@gantrymq/daemon'
import type { Sliced } from '@gantrymq/remoting'
import type { BrokerStatus, ClientView } from '../status.ts'

/** Does the slices of a page in the turns of the event loop that have time for them. */
export type SliceRunner = <T>(work: Sliced<T>) => T | Promise<T>

/**
 * The pages that only a broker has, in the order of the index.
 * @param run Does the slices of a page.
 */
export function brokerPages(status: BrokerStatus, run: SliceRunner): readonly ServerPage[] {
  return [
    {
      path: '/api/v1/topics',
      about: 'topics; lists take ?prefix= &limit= &after=',
      answer: ({ query }) => run(topicsPage(status, query)),
    },
    {
      path: '/api/v1/topics/{topic}',
      about: 'settings and queues of a topic; write % as %25',
      answer: ({ segment, query }) => topicPage(status, segment, query),
    },
    {
      path: '/api/v1/groups',
      about: 'consumer groups with their backlogs',
      answer: ({ query }) => run(groupsPage(status, query)),
    },
    {
      path: '/api/v1/groups/{group}',
      about: 'settings of a group, and its progress in each queue',
      answer: ({ segment, query }) => groupPage(status, segment, query),
    },
    {
      path: '/api/v1/clients',
      about: 'connected producers and consumers',
      answer: ({ query }) => run(clientsPage(status, query)),
    },
  ]
}

function* topicsPage(status: BrokerStatus, query: URLSearchParams): Sliced<Page> {
  const { entries, total, next } = yield* pickPart(status.topics(), topic => topic, readPageQuery(query))
  const row = (topic: string) => {
    const view = status.topic(topic)
    if (view === undefined) return { topic }
    const { readQueueNums, writeQueueNums, perm } = view.config
    const messages = view.queues.reduce((sum, { minOffset, maxOffset }) => sum + maxOffset - minOffset, 0)
    return { topic, readQueueNums, writeQueueNums, perm, messages, putPerSecond: view.putRate }
  }
  return yield* jsonListPage('topics', entries, row, { total, next })
}

function topicPage(status: BrokerStatus, topic: string, query: URLSearchParams): Page {
  checkParameters(query, [])
  const view = status.topic(topic)
  if (view === undefined) throw new Refusal(404, 'TOPIC_NOT_FOUND', 'this broker has no such topic')
  const { config, putRate, queues } = view
  return jsonPage({ topic, config, putPerSecond: putRate, queues })
}

function* groupsPage(status: BrokerStatus, query: URLSearchParams): Sliced<Page> {
  const { entries, total, next } = yield* pickPart(status.groups(), group => group, readPageQuery(query))
  const row = (group: string) => {
    const { clients = 0, consumeType, messageModel, backlog = 0 } = status.group(group) ?? {}
    return { group, clients, consumeType, messageModel, backlog }
  }
  return yield* jsonListPage('groups', entries, row, { total, next })
}

function groupPage(status: BrokerStatus, group: string, query: URLSearchParams): Page {
  checkParameters(query, [])
  const view = status.group(group)
  if (view === undefined) throw new Refusal(404, 'GROUP_NOT_FOUND', 'this broker has no such consumer group')
  return jsonPage({ group, ...view, queues: [...status.backlogs(group)] })
}

function* clientsPage(status: BrokerStatus, query: URLSearchParams): Sliced<Page> {
  const nameOf = ({ group, clientId, address }: ClientView) => `${group} ${clientId} ${address}`
  const { entries, total, next } = yield* pickPart(status.clients(), nameOf, readPageQuery(query))
  return yield* jsonListPage('clients', entries, client => client, { total, next })
}
