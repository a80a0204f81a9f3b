import type { Socket } from 'node:net'

/** `ip:port` of the peer as Apache writes it; IPv4 even if the socket maps it into IPv6. Undefined once the peer has disconnected. */
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
