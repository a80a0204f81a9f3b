import assert from 'node:assert/strict'
import type { Duplex } from 'node:stream'
import type { TestContext } from 'node:test'
import { Broker, type BrokerStartOptions } from '@gantrymq/broker'
import { NameServer, type StartOptions } from '@gantrymq/namesrv'
import { type Dial, RemotingClient, RemotingError } from '@gantrymq/remoting'
import { ManualClock, memorySockets } from '@gantrymq/remoting/testing'

const NAME_SERVER = '10.0.0.1:9876'
const BROKER_IP = '10.0.1.1'
const BROKER_PORT = 10_911

/** A name server and a broker in one process, joined by memory sockets, with a clock that the test moves. */
export interface InMemory {
  readonly clock: ManualClock
  readonly broker: Broker
  /** Connects to both by their addresses. */
  readonly dial: Dial
  readonly nameServers: string
  readonly brokerAddress: string
  /** Calls the broker and the name server. */
  readonly client: RemotingClient
  /** Ends a broker whose disk has crashed, and expects that it cannot close its store. */
  readonly end: () => Promise<void>
}

/** Starts both, and closes them when the test ends. */
export async function brokerInMemory(
  t: TestContext,
  options: BrokerStartOptions = {},
  nameServerOptions: StartOptions = {},
): Promise<InMemory> {
  const clock = new ManualClock()
  const nameServer = await NameServer.start({
    port: 0,
    host: '127.0.0.1',
    httpEnabled: false,
    clock,
    ...nameServerOptions,
  })
  const servers = new Map<string, { accept(stream: Duplex, remoteAddress: string): void }>([[NAME_SERVER, nameServer]])
  let connections = 0
  const dial: Dial = async address => {
    const server = servers.get(address)
    if (server === undefined) throw new RemotingError('CONNECT_FAILED', `nothing listens at ${address}`)
    const [near, far] = memorySockets()
    server.accept(far, `10.0.2.1:${50_000 + ++connections}`)
    return near
  }
  const broker = await Broker.start({
    listen: false,
    clock,
    dial,
    random: () => 0,
    namesrvAddr: NAME_SERVER,
    brokerName: 'broker-a',
    brokerIP1: BROKER_IP,
    port: BROKER_PORT,
    ...options,
  })
  const brokerAddress = `${BROKER_IP}:${BROKER_PORT}`
  servers.set(brokerAddress, broker)
  const client = new RemotingClient({ clock, dial })
  let hasEnded = false
  const end = async (): Promise<void> => {
    hasEnded = true
    await assert.rejects(broker.close())
  }
  t.after(async () => {
    await client.close()
    if (!hasEnded) await broker.close()
    await nameServer.close()
  })
  return { clock, broker, dial, nameServers: NAME_SERVER, brokerAddress, client, end }
}
