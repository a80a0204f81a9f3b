import type { ServerPage } from '@gantrymq/daemon'
import type { NameServerStatus } from '../status.ts'
import { brokersPage, clustersPage, topicPage, topicsPage, whyPage } from './api.ts'

/** The pages that only a name server has, in the order of the index. */
export function nameServerPages(status: NameServerStatus): readonly ServerPage[] {
  return [
    {
      path: '/api/v1/clusters',
      about: 'clusters and their broker names',
      answer: ({ query }) => clustersPage(status, query),
    },
    {
      path: '/api/v1/brokers',
      about: 'broker groups, ?cluster=',
      answer: ({ query, now }) => brokersPage(status, query, now),
    },
    {
      path: '/api/v1/topics',
      about: 'topics; lists take ?prefix= &limit= &after=',
      answer: ({ query }) => topicsPage(status, query),
    },
    {
      path: '/api/v1/topics/{topic}',
      about: 'route of a topic; write % as %25',
      answer: ({ segment: topic }) => topicPage(status, topic),
    },
    {
      path: '/api/v1/topics/{topic}/why',
      about: 'why a topic has no route, or no writable one',
      answer: ({ segment: topic, now }) => whyPage(status, topic, now),
    },
  ]
}
