import assert from 'node:assert/strict'
import { test } from 'node:test'
import { numbersFrom } from '@gantrymq/remoting/testing'
import { headOf, identityOf, NOW, registration, topicConfig } from '../../test/registrations.ts'
import { RouteTable } from './route-table.ts'

/**
 * Brokers start, reconnect, restart and leave, as a name server sees them: requests of one connection arrive in order,
 * but connections overtake each other, and the name server may notice the end of one long after its successor registered.
 */
const SCHEDULES = Number(process.env['FENCING_SCHEDULES'] ?? 10_000)
const STEPS = 60

type Message = 'register' | 'heartbeat' | 'query' | 'unregister' | 'end'

interface Connection {
  readonly peer: number
  /** The broker process that opened it, or that a stranger names. */
  readonly process: Process
  readonly isStranger: boolean
  readonly waiting: Message[]
  token: Parameters<RouteTable['applyTopics']>[0] | undefined
  /** The name server has read its end. */
  ended: boolean
  /** The process has closed it, whether or not the name server has read that. */
  closed: boolean
}

interface Process {
  readonly brokerName: string
  readonly brokerId: number
  readonly brokerAddr: string
  connection: Connection | undefined
  version: number
  alive: boolean
  /** Open connections on which the name server has heard this process while it knew the broker. */
  readonly heardOn: Set<Connection>
}

/**
 * The brokers of the schedules: a master that moves between two addresses, its slave, and the master of another
 * group.
 */
const brokers = [
  { brokerName: 'broker-a', brokerId: 0, addrs: ['a:1', 'a:2'] },
  { brokerName: 'broker-a', brokerId: 1, addrs: ['s:1'] },
  { brokerName: 'broker-b', brokerId: 0, addrs: ['b:1'] },
]

class Schedule {
  readonly table = new RouteTable()
  readonly #next: (below: number) => number
  readonly #connections: Connection[] = []
  /** The last process that was started for each broker. */
  readonly #processes: (Process | undefined)[] = [undefined, undefined, undefined]
  readonly #all: Process[] = []
  #lastPeer = 0
  #now = NOW
  /** The topics of brokers that have left are being dropped. */
  #dropping: ReturnType<RouteTable['dropEnded']> | undefined

  constructor(seed: number) {
    this.#next = numbersFrom(seed)
  }

  run(): void {
    for (let step = 0; step < STEPS; step++) {
      this.#act()
      for (let read = this.#next(4); read > 0; read--) this.#readSome()
      this.#checkRoutes()
    }
    for (const connection of this.#connections) if (connection.isStranger) this.#close(connection)
    while (this.#readSome());
    this.#checkNoneKept()
    for (const process of this.#all) if (process.alive) process.connection?.waiting.push('register')
    while (this.#readSome());
    for (const process of this.#all) if (process.alive) assert.ok(this.#isKnown(process), 'a live broker is missing')
    this.#checkNoneKept()
    this.#checkRoutes()
    for (const process of this.#all) if (process.alive && process.brokerId === 0) this.#checkTopics(process)
    while (this.#dropSome());
    for (const topic of this.table.topics.values()) assert.ok(topic.isLive, `${topic.name} was not dropped`)
    this.#checkRoutes()
  }

  #act(): void {
    this.#now += this.#next(100)
    const which = this.#next(brokers.length)
    const process = this.#processes[which]
    if (process === undefined || !process.alive) {
      this.#start(which)
      return
    }
    const action = this.#next(12)
    if (action < 4) this.#send(process, 'register')
    else if (action < 6) this.#send(process, this.#next(2) === 0 ? 'heartbeat' : 'query')
    else if (action < 8) this.#reconnect(process)
    else if (action === 8) this.#stop(process, this.#next(2) === 0)
    else if (action === 9) {
      this.#stop(process, this.#next(2) === 0)
      this.#start(which)
    } else this.#sendAsStranger(process)
  }

  #start(which: number): void {
    const { addrs, ...identity } = brokers[which]!
    const brokerAddr = addrs[this.#next(addrs.length)]!
    const process: Process = {
      ...identity,
      brokerAddr,
      connection: undefined,
      version: 1,
      alive: true,
      heardOn: new Set(),
    }
    process.connection = this.#open(process)
    process.connection.waiting.push('register')
    this.#processes[which] = process
    this.#all.push(process)
  }

  #open(process: Process, isStranger = false): Connection {
    const peer = ++this.#lastPeer
    const connection: Connection = {
      peer,
      process,
      isStranger,
      waiting: [],
      token: undefined,
      ended: false,
      closed: false,
    }
    this.#connections.push(connection)
    return connection
  }

  #send(process: Process, message: Message): void {
    if (message === 'register' && this.#next(3) === 0) process.version++
    process.connection?.waiting.push(message)
  }

  /** A broker whose request timed out opens a new connection; it closes the old one now or at any later time. */
  #reconnect(process: Process): void {
    const before = process.connection!
    if (this.#next(2) === 0) this.#close(before)
    process.connection = this.#open(process)
    process.connection.waiting.push(...(['register', 'heartbeat', 'query'] as const).slice(this.#next(3)))
  }

  #stop(process: Process, gracefully: boolean): void {
    process.alive = false
    // A connection that named its broker only while the broker was unknown looks like an administrator's.
    const connection = process.connection!
    const wasHeard = process.heardOn.has(connection) || connection.waiting.includes('register')
    if (gracefully && wasHeard) connection.waiting.push('unregister')
    for (const connection of this.#connections)
      if (connection.process === process && !connection.isStranger) this.#close(connection)
  }

  /** Any peer may name a broker, and disconnect. */
  #sendAsStranger(process: Process): void {
    const connection = this.#open(process, true)
    connection.waiting.push((['register', 'heartbeat', 'query'] as const)[this.#next(3)]!)
    if (this.#next(2) === 0) this.#close(connection)
  }

  #close(connection: Connection): void {
    if (connection.closed) return
    connection.closed = true
    connection.waiting.push('end')
  }

  /** The name server reads a message of some connection, or continues a registration in slices. */
  #readSome(): boolean {
    const busy = this.#connections.filter(
      connection => !connection.ended && (connection.waiting.length > 0 || connection.token !== undefined),
    )
    const connection = busy[this.#next(busy.length)]
    if (connection === undefined) return false
    // RequestOrder makes a connection's requests wait for its registration; its end does not wait.
    if (connection.token !== undefined && connection.waiting[0] !== 'end') this.#complete(connection)
    else this.#read(connection, connection.waiting.shift()!)
    if (this.#next(3) === 0) this.#dropSome()
    this.#checkNoneLost()
    return true
  }

  /** Drops a topic of a broker that has left. @returns Whether there was one. */
  #dropSome(): boolean {
    if (this.#dropping === undefined && !this.table.hasEnded) return false
    this.#dropping ??= this.table.dropEnded(() => {}, 1)
    if (this.#dropping.next().done === true) this.#dropping = undefined
    return true
  }

  /** Routes show the brokers that are registered, and no other. */
  #checkRoutes(): void {
    for (const name of ['T1', 'T2']) {
      for (const { brokerName, brokerAddrs } of this.table.routeOf(name)?.brokerDatas ?? []) {
        const members = this.table.brokers.groups.get(brokerName)?.brokers
        const addrs = [...brokerAddrs.values()]
        const isRight = members?.length === addrs.length && members.every(({ addr }) => addrs.includes(addr))
        if (!isRight) assert.fail(`${name} shows ${brokerName} at ${addrs.join()}`)
      }
    }
  }

  #checkTopics({ brokerName }: Process): void {
    for (const name of ['T1', 'T2']) {
      const shown = this.table.routeOf(name)?.brokerDatas.map(broker => broker.brokerName)
      assert.ok(shown?.includes(brokerName), `${name} does not show ${brokerName}`)
    }
  }

  #read(connection: Connection, message: Message): void {
    const { table } = this
    const { process, peer } = connection
    const { brokerAddr } = process
    if (message === 'register') this.#register(connection)
    else if (message === 'heartbeat') table.heartbeat('C', brokerAddr, this.#now, peer)
    else if (message === 'query') table.queryDataVersion('C', brokerAddr, undefined, this.#now, peer)
    else if (message === 'unregister') this.#unregister(connection)
    else {
      connection.ended = true
      process.heardOn.delete(connection)
      table.dropPeer(peer, this.#now)
    }
    if (message !== 'end' && !connection.isStranger && this.#isKnown(process)) process.heardOn.add(connection)
  }

  #register(connection: Connection): void {
    const { brokerName, brokerId, brokerAddr } = connection.process
    const holder = this.table.brokers.groups.get(brokerName)?.brokers.find(({ id }) => id === brokerId)
    // Of two addresses with one id the newer connection wins, as the later registration does in Apache. A heartbeat does
    // not contain the id, so it cannot hold the id for the other address.
    if (holder !== undefined && connection.peer > holder.peer && holder.addr !== brokerAddr)
      this.#forgetHeard(holder.addr)
    const begun = this.table.beginRegistration(headOf(this.#registration(connection)), this.#now)
    if (begun.result !== 'ignored') connection.token = begun.token
  }

  #unregister(connection: Connection): void {
    const { brokerAddr } = connection.process
    const holder = this.table.brokers.find('C', brokerAddr)?.peer ?? Infinity
    // A request of the holding connection counts even if a successor was heard: the successor has yet to register.
    if (connection.peer >= holder) this.#forgetHeard(brokerAddr)
    this.table.unregister([identityOf(this.#registration(connection))], connection.peer)
  }

  #forgetHeard(addr: string): void {
    for (const { brokerAddr, heardOn } of this.#all) if (brokerAddr === addr) heardOn.clear()
  }

  #complete(connection: Connection): void {
    const token = connection.token!
    connection.token = undefined
    if (this.table.applyTopics(token, [topicConfig('T1'), topicConfig('T2')])) {
      this.table.completeRegistration(token, this.#now)
    }
  }

  #registration({ process, peer }: Connection) {
    const { brokerName, brokerId, brokerAddr, version } = process
    return registration({ brokerName, brokerId, brokerAddr, version, peer })
  }

  #isKnown({ brokerName, brokerId, brokerAddr }: Process): boolean {
    const broker = this.table.brokers.find('C', brokerAddr)
    return broker?.group.name === brokerName && broker.id === brokerId
  }

  #checkNoneLost(): void {
    for (const process of this.#all) {
      if (process.alive && process.heardOn.size > 0) assert.ok(this.#isKnown(process), 'a live broker was lost')
    }
  }

  #checkNoneKept(): void {
    const alive = this.#all.filter(process => process.alive)
    for (const broker of this.table.brokers.clusters.get('C')?.values() ?? []) {
      assert.ok(
        alive.some(({ brokerAddr, brokerId }) => brokerAddr === broker.addr && brokerId === broker.id),
        `${broker.group.name} at ${broker.addr} has left and is still there`,
      )
    }
  }
}

test(`in ${SCHEDULES} schedules of overlapping connections no live broker is lost, and no broker that left is kept`, () => {
  for (let seed = 1; seed <= SCHEDULES; seed++) {
    try {
      new Schedule(seed).run()
    } catch (error) {
      throw new Error(`schedule ${seed}`, { cause: error })
    }
  }
})
