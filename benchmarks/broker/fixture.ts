import type { LaunchedServer } from '../../interop/src/launch/launcher.ts'
import { ask } from '../../interop/src/wire/raw-connection.ts'
import type { Topic } from './brokers.ts'
import type { Queue } from './plan.ts'

const QUEUES = 8
const MANY = 10_000
const GET_MAX_OFFSET = 30
const GET_BROKER_RUNTIME_INFO = 28

/** The topic for messages of a size. Eight queues are Apache's default for a topic that a client creates. */
export const topicOf = (bytes: number): Topic => ({ name: `bench-${bytes}`, queues: QUEUES })

/** A topic that gets no messages. */
export const idleTopic: Topic = { name: 'bench-idle', queues: QUEUES }

export const usualTopics: readonly Topic[] = [topicOf(128), topicOf(1024), idleTopic]

/** A queue each: Apache maps a file for each queue into its memory, and Linux allows 65,530 of those. */
export const manyTopics: readonly Topic[] = Array.from({ length: MANY }, (_, i) => ({ name: `many-${i}`, queues: 1 }))

export function queuesOf({ name, queues }: Topic): Queue[] {
  return Array.from({ length: queues }, (_, id) => ({ topic: name, id }))
}

/** The offset behind the last message of a queue. */
export async function maxOffsetOf({ port }: LaunchedServer, { topic, id }: Queue): Promise<number> {
  const answer = await ask(port, { code: GET_MAX_OFFSET, extFields: { topic, queueId: String(id) } })
  return Number(answer.extFields?.['offset'] ?? 0)
}

interface RuntimeInfo {
  readonly table: { readonly commitLogMaxOffset: string }
}

/** The position behind the last record of a broker's log. */
export async function logEndOf({ port }: LaunchedServer): Promise<number> {
  const { body } = await ask(port, { code: GET_BROKER_RUNTIME_INFO })
  return Number((JSON.parse(String(body)) as RuntimeInfo).table.commitLogMaxOffset)
}
