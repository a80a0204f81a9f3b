import { NameServer } from '@gantrymq/namesrv'
import { responseCodes, type TopicRoute, topicRouteBody } from '@gantrymq/protocol'
import type { Clock, Command } from '@gantrymq/remoting'
import type { SeenRequest } from '@gantrymq/testing/gateway'
import type { TestServer } from './test-server.ts'

/** A name server behind a gateway, with routes that a test may replace. */
export class TestNameServer {
  readonly server: TestServer
  /** Routes that the gateway returns instead of the name server's. Null: the topic does not exist. */
  readonly routes = new Map<string, TopicRoute | null>()
  readonly #nameServer: NameServer

  static async start(server: TestServer, serverClock: Clock): Promise<TestNameServer> {
    const nameServer = await NameServer.start({ host: '127.0.0.1', port: 0, httpEnabled: false, clock: serverClock })
    return new TestNameServer(server, nameServer)
  }

  private constructor(server: TestServer, nameServer: NameServer) {
    this.server = server
    this.#nameServer = nameServer
    server.serve(nameServer)
    server.fault('GET_ROUTEINFO_BY_TOPIC', {
      answer: 'altered',
      times: Infinity,
      where: ({ header }) => this.routes.has(header['topic'] ?? ''),
      alter: (reply, request) => this.#replaced(reply, request),
    })
  }

  get address(): string {
    return this.server.address
  }

  /** The server itself, past the gateway. */
  get behind(): NameServer {
    return this.#nameServer
  }

  fault(...fault: Parameters<TestServer['fault']>): ReturnType<TestServer['fault']> {
    return this.server.fault(...fault)
  }

  #replaced(reply: Command, { header }: SeenRequest): Command {
    const { topic = '' } = header
    const route = this.routes.get(topic)
    if (route) return { ...reply, code: 0, remark: null, body: Buffer.from(topicRouteBody.encode(route)) }
    const remark = `No topic route info in name server for the topic: ${topic}`
    return { ...reply, code: responseCodes.TOPIC_NOT_EXIST, remark, body: null }
  }

  async close(): Promise<void> {
    await Promise.all([this.server.close(), this.#nameServer.close({ drainMs: 0 })])
  }
}
