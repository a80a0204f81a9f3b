import type { ServerPage } from '@gantrymq/daemon'
import type { NameServerStatus, SliceRunner } from '../status.ts'
import { brokersPage, clustersPage, topicPage, topicsPage, whyPage } from './api.ts'

/**
 * The pages that only a name server has, in the order of the index.
 * @param run Does the slices of a page.
 */
export function nameServerPages(status: NameServerStatus, run: SliceRunner): readonly ServerPage[] {
  return [
    {
      path: '/api/v1/clusters',
      about: 'clusters and their broker names',
      answer: ({ query }) => run(clustersPage(status, query)),
    },
    {
      path: '/api/v1/brokers',
      about: 'broker groups, ?cluster=',
      answer: ({ query, now }) => run(brokersPage(status, query, now)),
    },
    {
      path: '/api/v1/topics',
      about: 'topics; lists take ?prefix= &limit= &after=',
      answer: ({ query }) => run(topicsPage(status, query)),
    },
    {
      path: '/api/v1/topics/{topic}',
      about: 'route of a topic as clients get it, ?zone=; write % as %25',
      answer: ({ segment: topic, query }) => topicPage(status, topic, query),
    },
    {
      path: '/api/v1/topics/{topic}/why',
      about: 'why clients get no route of a topic, or cannot use it, ?zone=',
      answer: ({ segment: topic, query, now }) => run(whyPage(status, topic, query, now)),
    },
  ]
}
