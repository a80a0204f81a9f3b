import assert from 'node:assert/strict'
import { test } from 'node:test'
import { headOf, identityOf, NOW, registration, topicConfig } from '../../test/registrations.ts'
import { RouteTable } from './route-table.ts'

/**
 * Brokers that start, reconnect, restart and leave, as a name server sees them: what a connection carries arrives in
 * order, but connections overtake each other, and the end of one can be noticed long after its successor registered.
 */
const SCHEDULES = Number(process.env['FENCING_SCHEDULES'] ?? 10_000)
const STEPS = 60

type Message = 'register' | 'heartbeat' | 'query' | 'unregister' | 'end'

interface Line {
  readonly peer: number
  /** Undefined for a stranger that names a broker that is not its own. */
  readonly process: Process
  readonly isStranger: boolean
  readonly waiting: Message[]
  token: Parameters<RouteTable['applyTopics']>[0] | undefined
  /** The name server has read its end. */
  ended: boolean
  /** The process has closed it, read or not. */
  closed: boolean
}

interface Process {
  readonly brokerName: string
  readonly brokerId: number
  readonly brokerAddr: string
  line: Line | undefined
  version: number
  alive: boolean
  /** Open connections on which the name server has heard this process while it knew the broker. */
  readonly heardOn: Set<Line>
}

/** A sequence of numbers that is the same for the same seed: mulberry32. */
function numbersFrom(seed: number): (below: number) => number {
  let state = seed
  return below => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * below)
  }
}

/** The brokers of the schedules: a master that moves between two addresses, its slave, and the master of another group. */
const brokers = [
  { brokerName: 'broker-a', brokerId: 0, addrs: ['a:1', 'a:2'] },
  { brokerName: 'broker-a', brokerId: 1, addrs: ['s:1'] },
  { brokerName: 'broker-b', brokerId: 0, addrs: ['b:1'] },
]

class Schedule {
  readonly table = new RouteTable()
  readonly #next: (below: number) => number
  readonly #lines: Line[] = []
  /** The process of each broker, the last one started. */
  readonly #processes: (Process | undefined)[] = [undefined, undefined, undefined]
  readonly #all: Process[] = []
  #lastPeer = 0
  #now = NOW

  constructor(seed: number) {
    this.#next = numbersFrom(seed)
  }

  run(): void {
    for (let step = 0; step < STEPS; step++) {
      this.#act()
      for (let read = this.#next(4); read > 0; read--) this.#readSome()
    }
    for (const line of this.#lines) if (line.isStranger) this.#close(line)
    while (this.#readSome());
    this.#checkNoneKept()
    for (const process of this.#all) if (process.alive) process.line?.waiting.push('register')
    while (this.#readSome());
    for (const process of this.#all) if (process.alive) assert.ok(this.#isKnown(process), 'a live broker is missing')
    this.#checkNoneKept()
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
    } else this.#meddle(process)
  }

  #start(which: number): void {
    const { addrs, ...identity } = brokers[which]!
    const brokerAddr = addrs[this.#next(addrs.length)]!
    const process: Process = { ...identity, brokerAddr, line: undefined, version: 1, alive: true, heardOn: new Set() }
    process.line = this.#open(process)
    process.line.waiting.push('register')
    this.#processes[which] = process
    this.#all.push(process)
  }

  #open(process: Process, isStranger = false): Line {
    const peer = ++this.#lastPeer
    const line: Line = { peer, process, isStranger, waiting: [], token: undefined, ended: false, closed: false }
    this.#lines.push(line)
    return line
  }

  #send(process: Process, message: Message): void {
    if (message === 'register' && this.#next(3) === 0) process.version++
    process.line?.waiting.push(message)
  }

  /** A broker whose request timed out opens a new connection; the old one is closed now or whenever. */
  #reconnect(process: Process): void {
    const before = process.line!
    if (this.#next(2) === 0) this.#close(before)
    process.line = this.#open(process)
    process.line.waiting.push(...(['register', 'heartbeat', 'query'] as const).slice(this.#next(3)))
  }

  #stop(process: Process, gracefully: boolean): void {
    process.alive = false
    // A connection that spoke for its broker only while the broker was unknown looks like an administrator's.
    const line = process.line!
    const spoke = process.heardOn.has(line) || line.waiting.includes('register')
    if (gracefully && spoke) line.waiting.push('unregister')
    for (const line of this.#lines) if (line.process === process && !line.isStranger) this.#close(line)
  }

  /** Anybody may name a broker, and hang up. */
  #meddle(process: Process): void {
    const line = this.#open(process, true)
    line.waiting.push((['register', 'heartbeat', 'query'] as const)[this.#next(3)]!)
    if (this.#next(2) === 0) this.#close(line)
  }

  #close(line: Line): void {
    if (line.closed) return
    line.closed = true
    line.waiting.push('end')
  }

  /** The name server reads a message of some connection, or goes on with a registration in slices. */
  #readSome(): boolean {
    const busy = this.#lines.filter(line => !line.ended && (line.waiting.length > 0 || line.token !== undefined))
    const line = busy[this.#next(busy.length)]
    if (line === undefined) return false
    // A connection's requests wait for its registration, as RequestOrder sees to; its end does not.
    if (line.token !== undefined && line.waiting[0] !== 'end') this.#complete(line)
    else this.#read(line, line.waiting.shift()!)
    this.#checkNoneLost()
    return true
  }

  #read(line: Line, message: Message): void {
    const { table } = this
    const { process, peer } = line
    const { brokerAddr } = process
    if (message === 'register') this.#register(line)
    else if (message === 'heartbeat') table.heartbeat('C', brokerAddr, this.#now, peer)
    else if (message === 'query') table.queryDataVersion('C', brokerAddr, undefined, this.#now, peer)
    else if (message === 'unregister') this.#unregister(line)
    else {
      line.ended = true
      process.heardOn.delete(line)
      table.dropPeer(peer, this.#now)
    }
    if (message !== 'end' && !line.isStranger && this.#isKnown(process)) process.heardOn.add(line)
  }

  #register(line: Line): void {
    const { brokerName, brokerId, brokerAddr } = line.process
    const holder = this.table.brokers.groups.get(brokerName)?.brokers.find(({ id }) => id === brokerId)
    // Of two addresses with one id the newer connection wins, as of two registrations the later one does in Apache. A
    // heartbeat says nothing about the id, so it cannot hold the id for the other address.
    if (holder !== undefined && line.peer > holder.peer && holder.addr !== brokerAddr) this.#forgetHeard(holder.addr)
    const begun = this.table.beginRegistration(headOf(this.#registration(line)), this.#now)
    if (begun.result !== 'ignored') line.token = begun.token
  }

  #unregister(line: Line): void {
    const { brokerAddr } = line.process
    const holder = this.table.brokers.find('C', brokerAddr)?.peer ?? Infinity
    // What the holding connection says counts, even if a successor was heard already: its registration is on its way.
    if (line.peer >= holder) this.#forgetHeard(brokerAddr)
    this.table.unregister([identityOf(this.#registration(line))], line.peer)
  }

  #forgetHeard(addr: string): void {
    for (const { brokerAddr, heardOn } of this.#all) if (brokerAddr === addr) heardOn.clear()
  }

  #complete(line: Line): void {
    const token = line.token!
    line.token = undefined
    if (this.table.applyTopics(token, [topicConfig('T1'), topicConfig('T2')])) {
      this.table.completeRegistration(token, this.#now)
    }
  }

  #registration({ process, peer }: Line) {
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

test(`in ${SCHEDULES} schedules of overlapping connections no live broker is lost, and none is kept that left`, () => {
  for (let seed = 1; seed <= SCHEDULES; seed++) {
    try {
      new Schedule(seed).run()
    } catch (error) {
      throw new Error(`schedule ${seed}`, { cause: error })
    }
  }
})
