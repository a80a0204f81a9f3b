import { createSocket } from 'node:dgram'
import { lookup } from 'node:dns/promises'
import { isIP, isIPv6 } from 'node:net'
import { type Clock, giveUpAfter } from '@gantrymq/remoting'

/** How long the system may take to find a route, milliseconds; a host name is resolved meanwhile. */
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
  socket.connect(Number(address.slice(colon + 1)), host, () => end(socket.address().address))
  return promise
}

/**
 * The IP address of a host: messages contain no names.
 * @throws Error if the name cannot be resolved
 */
export async function ipAddressOf(host: string): Promise<string> {
  return isIP(host) === 0 ? (await lookup(host)).address : host
}
