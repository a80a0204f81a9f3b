// The strategies of the protocol for users of the client: they throw ClientError.
import * as protocol from '@gantrymq/protocol'
import type { AssignmentStrategy, MachineRooms } from '@gantrymq/protocol'
import { asClientErrors } from '../../errors.ts'

function forUsers(strategy: AssignmentStrategy): AssignmentStrategy {
  return { name: strategy.name, assign: input => asClientErrors(() => strategy.assign(input)) }
}

/** Gives each member a contiguous run of queues; the first members get one more if they do not divide evenly. Apache's AVG, the default. */
export const averagely: AssignmentStrategy = forUsers(protocol.averagely)

/** Deals the queues out to the members one at a time: Apache's AVG_BY_CIRCLE. */
export const averagelyByCircle: AssignmentStrategy = forUsers(protocol.averagelyByCircle)

/** Assigns only queues of brokers named `ROOM@NAME` whose room is one of `rooms`: Apache's MACHINE_ROOM. */
export function byMachineRoom(rooms: Iterable<string>): AssignmentStrategy {
  return forUsers(protocol.byMachineRoom(rooms))
}

/**
 * Assigns queues by a hash ring, so that few of them move when a member joins or leaves: Apache's CONSISTENT_HASH.
 * @param virtualNodes points of each member on the ring; must be the same for all members
 * @throws ClientError BAD_OPTION if negative
 */
export function consistentHash(virtualNodes = 10): AssignmentStrategy {
  return asClientErrors(() => forUsers(protocol.consistentHash(virtualNodes)))
}

/**
 * Assigns queues to the members in their own room, and queues of rooms without members to all members, in both cases by
 * `inner`: Apache's AllocateMachineRoomNearby.
 */
export function machineRoomNearby(inner: AssignmentStrategy, rooms: MachineRooms): AssignmentStrategy {
  return forUsers(protocol.machineRoomNearby(inner, rooms))
}
