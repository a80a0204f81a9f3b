import { createSocket } from 'node:dgram'
import { lookup } from 'node:dns/promises'
import { isIP, isIPv6 } from 'node:net'
import { type Clock, giveUpAfter, RemotingError, within } from '@gantrymq/remoting'

/** How long the system may take to find a route, or to resolve a name, milliseconds. */
const LOOKUP_MS = 3000

/**
 * This machine's address on the way to another one: the source address of its packets. Nothing is sent: connecting a UDP socket
 * only asks the system for the route. Undefined if there is none.
 * @param address `host:port`
 */
export function localAddressTowards(address: string, clock: Clock): Promise<string | undefined> {
  const colon = address.lastIndexOf(':')
  const host = address.slice(0, colon).replace(/^\[(.*)\]$/, '$1')
  const { promise, resolve } = Promise.withResolvers<string | undefined>()
  const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4')
  let ended = false
  const end = (found: string | undefined): void => {
    if (ended) return
    ended = true
    wait[Symbol.dispose]()
    socket.close()
    resolve(found)
  }
  const wait = giveUpAfter(clock, { timeoutMs: LOOKUP_MS }, () => end(undefined))
  socket.on('error', () => end(undefined))
  // Called also if the name cannot be resolved or there is no route; the address of the socket is 0.0.0.0 then.
  const connected = (error?: Error): void => end(error === undefined ? socket.address().address : undefined)
  socket.connect(Number(address.slice(colon + 1)), host, connected)
  return promise
}

/**
 * The IP address of the broker's host: messages contain no names.
 * @throws RemotingError BAD_OPTION if the name cannot be resolved
 */
export async function ipAddressOf(host: string, clock: Clock): Promise<string> {
  if (isIP(host) !== 0) return host
  try {
    return (await within(clock, lookup(host), { timeoutMs: LOOKUP_MS }, `resolving ${host}`)).address
  } catch (error) {
    const { message } = error as Error
    throw new RemotingError('BAD_OPTION', `the address of the broker, ${host}, cannot be resolved (${message}): set brokerIP1 to an IP address`) // biome-ignore format: one thought
  }
}
