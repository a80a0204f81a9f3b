import type { Peer } from '@gantrymq/remoting'
import type { HeldRequest, HeldRequests } from '../held-requests.ts'
import { bodyBytes, type PullAnswer, type PullHeader } from './pull-reply.ts'

/** A pull that waits for messages. */
export interface HeldPull extends HeldRequest {
  readonly header: PullHeader
  /** Where to look for messages: behind those that the consumer does not want. Begins at the offset of the header. */
  scanFrom: number
}

export type HeldPulls = HeldRequests<HeldPull, PullAnswer>

/**
 * A pull that has passed over messages is answered after this long, so that its consumer commits its progress: Apache's
 * PullRequestHoldService looks at each pull every 5 s.
 */
const PASSED_OVER_MS = 5000

/** How pulls are held. */
export const heldPullRules = {
  wakes: 'each',
  restMs: ({ scanFrom, header }: HeldPull): number =>
    scanFrom === header.queueOffset ? Number.POSITIVE_INFINITY : PASSED_OVER_MS,
  bytesOf: bodyBytes,
  textOf: ({ header }: HeldPull): number => textLengthOf(header),
} as const

const noTopics: readonly string[] = []

export function heldPullOf(header: PullHeader, peer: Peer): HeldPull {
  const { topic, consumerGroup: group, queueId, queueOffset: scanFrom } = header
  return { topic, group, queueId, retryTopics: noTopics, peer, header, scanFrom }
}

/** The length of the texts of a pull, which are kept while it is held. Names of topics and groups are short. */
export function textLengthOf(header: PullHeader): number {
  const { subscription = '', expressionType = '', bname = '', ns = '', proxyFrowardClientId = '', liteTopic = '' } = header // biome-ignore format: one thought
  const routing = bname.length + ns.length + proxyFrowardClientId.length + liteTopic.length
  return subscription.length + expressionType.length + routing
}
