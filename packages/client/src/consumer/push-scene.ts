import type { Stage } from '@gantrymq/testkit'
import { PushConsumer, type PushConsumerOptions } from './push-consumer.ts'

type Given<Body> = Partial<PushConsumerOptions<Body>>

/** The options of a consumer of a stage, of group `readers` and topic `Orders` unless told otherwise. */
export function consumerOptions<Body = Buffer>(play: Stage, more: Given<Body> = {}): PushConsumerOptions<Body> {
  const { clock, dial, nameServerList: nameServers } = play
  return { clock, dial, nameServers, group: 'readers', subscriptions: { Orders: '*' }, consumeFrom: 'first', ...more }
}

/** Starts a consumer that ends with its stage. */
export async function startConsumer<Body = Buffer>(play: Stage, more: Given<Body> = {}): Promise<PushConsumer<Body>> {
  return play.own(await play.outcome(PushConsumer.start<Body>(consumerOptions(play, more))))
}
