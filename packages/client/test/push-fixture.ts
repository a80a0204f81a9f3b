import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { TestContext } from 'node:test'
import { responseCodes } from '@gantrymq/protocol'
import type { Logger } from '@gantrymq/remoting'
import type { TestBroker, TestCluster } from '@gantrymq/testkit/cluster'
import { PushConsumer, type PushConsumerOptions } from '../src/consumer/push-consumer.ts'

type Given<Body> = Partial<PushConsumerOptions<Body>>

/** The options of a consumer of the cluster, by default of group `readers` and topic `Orders`. */
export function consumerOptions<Body = Buffer>(
  cluster: TestCluster,
  more: Given<Body> = {},
): PushConsumerOptions<Body> {
  const { clock, nameServerList: nameServers, dial } = cluster
  return { clock, dial, nameServers, group: 'readers', subscriptions: { Orders: '*' }, consumeFrom: 'first', ...more }
}

/** Starts a consumer that is closed with the cluster. */
export async function startConsumer<Body = Buffer>(
  cluster: TestCluster,
  more: Given<Body> = {},
): Promise<PushConsumer<Body>> {
  return cluster.own(await cluster.outcome(PushConsumer.start<Body>(consumerOptions(cluster, more))))
}

/** A logger, and its lines: level and message. */
export function recordingLog(): { readonly log: Logger; readonly texts: string[] } {
  const texts: string[] = []
  const at =
    (level: string) =>
    (_: object, text: string): void =>
      void texts.push(`${level} ${text}`)
  return { log: { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') }, texts }
}

/** A temporary folder, which is deleted after the test. */
export async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'offsets-'))
  t.after(() => rm(path, { recursive: true }))
  return path
}

/**
 * Has new groups start without an offset, as when the first messages of a queue are no longer in the broker's memory. Otherwise a
 * broker has them start at 0: Apache's ConsumerManageProcessor.queryConsumerOffset.
 */
export function forgetsFirstMessages(broker: TestBroker): void {
  broker.fault('QUERY_CONSUMER_OFFSET', {
    answer: 'code',
    code: responseCodes.QUERY_NOT_FOUND,
    times: Infinity,
    where: ({ header: { topic = '', consumerGroup = '', queueId } }) =>
      broker.committed(topic, consumerGroup, Number(queueId)) === undefined,
  })
}
