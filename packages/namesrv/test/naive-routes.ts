import type { Long } from '@gantrymq/remoting'
import type { BrokerRegistration } from '../src/registry/registration.ts'

interface NaiveBroker {
  cluster: string
  name: string
  addr: string
  id: Long
  peer: number
  last: number
  timeout: number
  flag: boolean | undefined
  version: Long | undefined
  hidden: boolean
}

interface Pair {
  readonly topic: string
  readonly name: string
  perm: number
}

const WRITE = 2

/**
 * The rules of the route table, written again with two plain lists and no optimizations: every registration goes through
 * all its topics. RouteTable, which skips work, must give the same routes.
 */
export class NaiveRoutes {
  brokers: NaiveBroker[] = []
  pairs: Pair[] = []
  readonly groups = new Map<string, { acting: boolean; zone: string | undefined }>()
  supportActingMaster = false
  /** By connection and broker: the id that another address took. */
  readonly #lost = new Map<string, Long>()

  register(registration: BrokerRegistration, now: number): void {
    const {
      clusterName: cluster,
      brokerName: name,
      brokerAddr: addr,
      brokerId: id,
      enableActingMaster: flag,
    } = registration
    const version = registration.body.dataVersion.counter
    const old = this.brokers.find(each => each.cluster === cluster && each.addr === addr)
    if (this.#isTooLate(registration)) return
    const known = old?.name === name ? old : undefined
    const overwrite = known?.id !== id || known.version !== version
    const broker: NaiveBroker = known ?? {
      cluster,
      name,
      addr,
      id,
      peer: 0,
      last: 0,
      timeout: 0,
      flag,
      version,
      hidden: true,
    }
    if (!known) this.brokers.push(broker)
    if (!old) this.#lost.delete(keyOf(registration.peer, cluster, addr))
    Object.assign(broker, { id, peer: registration.peer, last: now, flag, version })
    broker.timeout = registration.heartbeatTimeoutMillis ?? 120_000
    const rivals = this.members(name).filter(each => each !== broker && (each.id === id) !== (each.addr === addr))
    for (const rival of rivals) {
      if (rival.id !== id || rival.peer === registration.peer) continue
      this.#lost.set(keyOf(rival.peer, rival.cluster, rival.addr), id)
    }
    this.remove(old && !known ? [...rivals, old] : rivals)
    this.groups.set(name, { acting: flag ?? false, zone: registration.zoneName })

    const isPrime = flag !== undefined && this.members(name).every(each => each.id >= id)
    if (id !== 0 && !isPrime) {
      broker.hidden = false
      return
    }
    if (registration.body.topics.size !== 1) broker.hidden = false
    for (const config of registration.body.topics.values()) {
      const perm = id !== 0 && flag === true ? config.perm & ~WRITE : config.perm
      const pair = this.pairs.find(each => each.topic === config.topicName && each.name === name)
      if (!pair) this.pairs.push({ topic: config.topicName, name, perm })
      else if (overwrite) pair.perm = perm
    }
  }

  /**
   * Whether another address has taken the id, and this registration came on the connection that lost it or on one that was
   * opened before and is new to the group.
   */
  #isTooLate({ clusterName, brokerName, brokerAddr, brokerId, peer }: BrokerRegistration): boolean {
    const members = this.members(brokerName)
    const holder = members.find(each => each.id === brokerId && each.addr !== brokerAddr)
    if (!holder || holder.peer === peer) return false
    const key = keyOf(peer, clusterName, brokerAddr)
    const isNewer = peer > holder.peer || members.some(each => each.peer === peer)
    if (isNewer && this.#lost.get(key) !== brokerId) return false
    this.#lost.set(key, brokerId)
    return true
  }

  drop(peer: number): void {
    for (const key of this.#lost.keys()) if (key.startsWith(`${peer} `)) this.#lost.delete(key)
    this.remove(this.brokers.filter(broker => broker.peer === peer))
  }

  remove(leaving: readonly NaiveBroker[]): void {
    this.brokers = this.brokers.filter(broker => !leaving.includes(broker))
    this.pairs = this.pairs.filter(({ name }) => this.members(name).length > 0)
    for (const { name } of leaving) {
      const isMasterless = this.members(name).every(({ id }) => id > 0)
      if (!isMasterless || this.groups.get(name)?.acting !== true) continue
      for (const pair of this.pairs) if (pair.name === name) pair.perm &= ~WRITE
    }
  }

  refresh(cluster: string, addr: string, now: number): NaiveBroker | undefined {
    const broker = this.brokers.find(each => each.cluster === cluster && each.addr === addr)
    return broker && Object.assign(broker, { last: now })
  }

  deleteTopic(topic: string, cluster?: string): void {
    const isMember = (name: string) => this.members(name).some(broker => broker.cluster === cluster)
    this.pairs = this.pairs.filter(pair => pair.topic !== topic || (cluster !== undefined && !isMember(pair.name)))
  }

  changePermission(name: string, change: (perm: number) => number): number {
    const own = this.pairs.filter(pair => pair.name === name)
    for (const pair of own) pair.perm = change(pair.perm)
    return own.length
  }

  members(name: string): NaiveBroker[] {
    return this.brokers.filter(broker => broker.name === name)
  }

  topics(): string[] {
    return [...new Set(this.pairs.map(({ topic }) => topic))].toSorted()
  }

  /** As `shown` of the other tests. */
  shown(topic: string): string | undefined {
    const pairs = this.pairs.filter(pair => pair.topic === topic).toSorted((a, b) => (a.name < b.name ? -1 : 1))
    return pairs.length === 0 ? undefined : pairs.map(pair => this.#shownPair(pair)).join(' ')
  }

  #shownPair({ name, perm }: Pair): string {
    const addrs = new Map(this.members(name).map(({ id, addr }) => [id, addr]))
    const ids = [...addrs.keys()].toSorted((a, b) => (a < b ? -1 : 1))
    const [lowest] = ids
    const isActed = this.supportActingMaster && this.groups.get(name)?.acting && !addrs.has(0) && (perm & WRITE) === 0
    const list = ids.map(id => `${isActed && id === lowest ? 0 : id}:${addrs.get(id)?.replace(':10911', '')}`)
    return `${name}{${list.join()}}${perm}`
  }
}

function keyOf(peer: number, cluster: string, addr: string): string {
  return `${peer} ${cluster} ${addr}`
}
