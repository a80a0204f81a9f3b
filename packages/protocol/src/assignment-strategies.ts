import { RemotingError } from '@gantrymq/remoting'
import type { MessageQueue } from './bodies/message-queue.ts'

/** The input of a strategy. It must use nothing else, because the results of all members of a group must fit together. */
export interface AssignmentInput {
  readonly group: string
  /** The id of this client. */
  readonly clientId: string
  /** All queues of a topic, sorted by `sortQueues`. */
  readonly queues: readonly MessageQueue[]
  /** Ids of all members of the group, sorted by `sortClientIds`. */
  readonly clientIds: readonly string[]
}

/** How the queues of a topic are assigned to the members of a group. Write your own, or use one of this file. */
export interface AssignmentStrategy {
  /** The name in log lines. */
  readonly name: string
  /** The queues of `clientId`. If it throws, the client keeps its current queues. */
  assign(input: AssignmentInput): readonly MessageQueue[]
}

function compareTexts(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0
}

/** Queues by topic, broker and number: the order of Java's MessageQueue. */
export function sortQueues(queues: Iterable<MessageQueue>): MessageQueue[] {
  return [...queues].sort(
    (a, b) => compareTexts(a.topic, b.topic) || compareTexts(a.brokerName, b.brokerName) || a.queueId - b.queueId,
  )
}

/** Client ids by their UTF-16 units, as Java sorts them. */
export function sortClientIds(clientIds: Iterable<string>): string[] {
  return [...clientIds].sort(compareTexts)
}

/** A strategy that refuses what Java refuses, and assigns nothing to a client that is not in the list. */
function strategy(name: string, assign: (input: AssignmentInput, index: number) => MessageQueue[]): AssignmentStrategy {
  return {
    name,
    assign(input) {
      if (input.clientId === '') throw new RemotingError('BAD_OPTION', 'clientId of an assignment is empty')
      if (input.queues.length === 0) throw new RemotingError('BAD_OPTION', 'queues of an assignment are empty')
      if (input.clientIds.length === 0) throw new RemotingError('BAD_OPTION', 'clientIds of an assignment are empty')
      const index = input.clientIds.indexOf(input.clientId)
      return index < 0 ? [] : assign(input, index)
    },
  }
}

/** Each member gets adjacent queues; the first members get one more each: Apache's AVG, the default. */
export const averagely: AssignmentStrategy = strategy('AVG', ({ queues, clientIds }, index) => {
  const size = Math.floor(queues.length / clientIds.length)
  const rest = queues.length % clientIds.length
  const start = index * size + Math.min(index, rest)
  return queues.slice(start, start + size + (index < rest ? 1 : 0))
})

/** The members get one queue each in turn: Apache's AVG_BY_CIRCLE. */
export const averagelyByCircle: AssignmentStrategy = strategy('AVG_BY_CIRCLE', ({ queues, clientIds }, index) =>
  queues.filter((_, at) => at % clientIds.length === index),
)

/** Always these queues, regardless of the other members: Apache's CONFIG. */
export function configured(queues: readonly MessageQueue[]): AssignmentStrategy {
  return { name: 'CONFIG', assign: () => queues }
}

/** Only queues of brokers named `ROOM@NAME` with one of these rooms: Apache's MACHINE_ROOM. */
export function byMachineRoom(rooms: Iterable<string>): AssignmentStrategy {
  const known = new Set(rooms)
  return strategy('MACHINE_ROOM', ({ queues, clientIds }, index) => {
    const near = queues.filter(({ brokerName }) => {
      // Java's split drops empty parts at the end.
      const parts = brokerName.split('@')
      while (parts.at(-1) === '') parts.pop()
      return parts.length === 2 && known.has(parts[0] ?? '')
    })
    const size = Math.floor(near.length / clientIds.length)
    const last = near.length % clientIds.length > index ? near.slice(size * clientIds.length + index).slice(0, 1) : []
    return [...near.slice(size * index, size * (index + 1)), ...last]
  })
}

/**
 * By a ring of MD5 points, so that few queues move when a member joins or leaves: Apache's CONSISTENT_HASH.
 * @param virtualNodes Points of each member; must be the same in all members.
 * @throws RemotingError BAD_OPTION if negative
 */
export function consistentHash(virtualNodes = 10): AssignmentStrategy {
  if (!(virtualNodes >= 0)) throw new RemotingError('BAD_OPTION', `virtualNodes must not be negative: ${virtualNodes}`)
  return strategy('CONSISTENT_HASH', ({ queues, clientId, clientIds }) => {
    const ring = ringOf(clientIds, virtualNodes)
    return queues.filter(queue => ownerOf(ring, ringHash(javaTextOf(queue))) === clientId)
  })
}

interface RingPoint {
  readonly hash: number
  readonly clientId: string
}

/** Points sorted by hash; of two points with the same hash the later one counts, as in Java's map. */
function ringOf(clientIds: readonly string[], virtualNodes: number): RingPoint[] {
  const owners = new Map<number, string>()
  for (const clientId of clientIds) {
    for (let node = 0; node < virtualNodes; node++) owners.set(ringHash(`${clientId}-${node}`), clientId)
  }
  return [...owners].map(([hash, clientId]) => ({ hash, clientId })).sort((a, b) => a.hash - b.hash)
}

function ownerOf(ring: readonly RingPoint[], hash: number): string | undefined {
  return (ring.find(point => point.hash >= hash) ?? ring[0])?.clientId
}

function ringHash(key: string): number {
  // Not imported: servers that never share out queues need not load it, which takes 5 MB.
  return process.getBuiltinModule('node:crypto').createHash('md5').update(key).digest().readUInt32BE(0)
}

/** A queue as Java prints it: the key of the ring. */
function javaTextOf({ topic, brokerName, queueId }: MessageQueue): string {
  return `MessageQueue [topic=${topic}, brokerName=${brokerName}, queueId=${queueId}]`
}

/** Returns the machine rooms of queues and clients. */
export interface MachineRooms {
  ofQueue(queue: MessageQueue): string
  ofClient(clientId: string): string
}

/**
 * Assigns queues to members in the same room, and the queues of rooms without members to all members, in both cases by `inner`:
 * Apache's AllocateMachineRoomNearby.
 */
export function machineRoomNearby(inner: AssignmentStrategy, rooms: MachineRooms): AssignmentStrategy {
  return strategy(`MACHINE_ROOM_NEARBY-${inner.name}`, input => {
    const queues = Map.groupBy(input.queues, queue => named(rooms.ofQueue(queue), `queue ${javaTextOf(queue)}`))
    const clients = Map.groupBy(input.clientIds, id => named(rooms.ofClient(id), `client ${id}`))
    const here = rooms.ofClient(input.clientId)
    const near = queues.get(here)
    const mine = near ? inner.assign({ ...input, queues: near, clientIds: clients.get(here) ?? [] }) : []
    const orphaned = [...queues.keys()].filter(room => !clients.has(room)).sort(compareTexts)
    return [...mine, ...orphaned.flatMap(room => inner.assign({ ...input, queues: queues.get(room) ?? [] }))]
  })
}

function named(room: string | undefined, what: string): string {
  if (!room) throw new RemotingError('BAD_OPTION', `no machine room is known for the ${what}`)
  return room
}
