import { isReadable, type MessageQueue, nameServerRequests, responseCodes } from '@gantrymq/protocol'
import { type Logger, type RemotingClient, ResponseError } from '@gantrymq/remoting'

export interface TopicQueuesOptions {
  readonly client: RemotingClient
  /** The name servers, `host:port`; read again at each use. */
  readonly addresses: () => readonly string[]
  /** The queues of a topic at this broker, for a broker without name servers. */
  readonly own: (topic: string) => readonly MessageQueue[]
  readonly log: Logger
}

/** How long a name server may take, milliseconds. */
const ASK_MS = 3000

/** Finds the queues of a topic at all brokers, in place of Apache's TopicRouteInfoManager, which keeps them for 30 s. */
export class TopicQueues {
  readonly #options: TopicQueuesOptions
  readonly #asking = new Map<string, Promise<readonly MessageQueue[]>>()

  constructor(options: TopicQueuesOptions) {
    this.#options = options
  }

  /** Asks the name servers, one after another. Empty if none of them knows the topic. Never rejects. */
  find(topic: string): Promise<readonly MessageQueue[]> {
    const asking = this.#asking.get(topic)
    if (asking !== undefined) return asking
    const asked = this.#ask(topic).finally(() => this.#asking.delete(topic))
    this.#asking.set(topic, asked)
    return asked
  }

  async #ask(topic: string): Promise<readonly MessageQueue[]> {
    const { client, addresses, own, log } = this.#options
    const nameServers = addresses()
    if (nameServers.length === 0) return own(topic)
    for (const address of nameServers) {
      try {
        const input = { header: { topic } }
        const { body } = await client.call(address, nameServerRequests.GET_ROUTEINFO_BY_TOPIC, input, { timeoutMs: ASK_MS }) // biome-ignore format: one thought
        return (body?.queueDatas ?? []).flatMap(({ brokerName, perm, readQueueNums }) =>
          isReadable(perm)
            ? Array.from({ length: readQueueNums }, (_, queueId) => ({ topic, brokerName, queueId }))
            : [],
        )
      } catch (error) {
        if (error instanceof ResponseError && error.responseCode === responseCodes.TOPIC_NOT_EXIST) return []
        log.warn({ err: error, nameServer: address, topic }, 'a name server did not say which brokers have a topic')
      }
    }
    return []
  }
}
