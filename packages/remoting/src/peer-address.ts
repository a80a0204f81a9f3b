import type { Socket } from 'node:net'

/** `ip:port` of the other side as Apache writes it, IPv4 also where the socket maps it into IPv6. Undefined once it has left. */
export function addressOf(socket: Socket): string | undefined {
  const { remoteAddress, remotePort } = socket
  if (remoteAddress === undefined) return undefined
  return `${remoteAddress.replace(/^::ffff:(?=[\d.]+$)/, '')}:${remotePort}`
}

/** The address without its port. */
export function ipOf(address: string): string {
  const colon = address.lastIndexOf(':')
  return colon === -1 ? address : address.slice(0, colon)
}
