// The strategies of the protocol as users call them: what they refuse is a ClientError.
import * as protocol from '@gantrymq/protocol'
import type { AssignmentStrategy, MachineRooms } from '@gantrymq/protocol'
import { asClientErrors } from '../errors.ts'

function forUsers(strategy: AssignmentStrategy): AssignmentStrategy {
  return { name: strategy.name, assign: input => asClientErrors(() => strategy.assign(input)) }
}

/** Neighbouring queues together, the first members get one more: Apache's AVG, the default. */
export const averagely: AssignmentStrategy = forUsers(protocol.averagely)

/** One queue each in turn: Apache's AVG_BY_CIRCLE. */
export const averagelyByCircle: AssignmentStrategy = forUsers(protocol.averagelyByCircle)

/** Only queues of brokers named `ROOM@NAME` with one of these rooms: Apache's MACHINE_ROOM. */
export function byMachineRoom(rooms: Iterable<string>): AssignmentStrategy {
  return forUsers(protocol.byMachineRoom(rooms))
}

/**
 * By a ring of MD5 points, so that few queues move when a member comes or goes: Apache's CONSISTENT_HASH.
 * @param virtualNodes points of each member, as many in all members
 * @throws ClientError BAD_OPTION if negative
 */
export function consistentHash(virtualNodes = 10): AssignmentStrategy {
  return asClientErrors(() => forUsers(protocol.consistentHash(virtualNodes)))
}

/**
 * Queues go to members in their own room, those of rooms without members to all, each time by `inner`: Apache's
 * AllocateMachineRoomNearby.
 */
export function machineRoomNearby(inner: AssignmentStrategy, rooms: MachineRooms): AssignmentStrategy {
  return forUsers(protocol.machineRoomNearby(inner, rooms))
}
