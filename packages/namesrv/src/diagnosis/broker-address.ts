import { isIP } from 'node:net'

/** Why clients cannot use a broker's address. */
export interface AddressFault {
  /** Completes "the address 10.0.0.1 of broker-a ...". */
  readonly why: string
  /** False if some clients can use it all the same: those on the broker's own machine, or in its network. */
  readonly certain: boolean
}

/**
 * Judges the address that a broker registered. Brokers take it from `brokerIP1`, whatever that is, and name servers pass it on
 * to clients as it is.
 * @param host The IP address that the broker's connection comes from; undefined if it is not known.
 * @param own The IP addresses of this machine, on which a broker runs whose connection is local. Default: they are not known.
 */
export function addressFault(
  address: string,
  host: string | undefined,
  own?: ReadonlySet<string>,
): AddressFault | undefined {
  const why = malformed(address)
  if (why !== undefined) return { why, certain: true }
  const name = hostIn(address).toLowerCase()
  if (isLoopback(name)) {
    const why = 'can be reached on its own machine only'
    return { why, certain: host !== undefined && !isLoopback(host) }
  }
  if (host === undefined || isIP(name) === 0 || name === host.toLowerCase()) return undefined
  if (isLoopback(host)) {
    if (own === undefined || own.has(name)) return undefined
    return { why: 'is none of this machine, where its connection comes from', certain: false }
  }
  return { why: `differs from ${host}, where its connection comes from`, certain: false }
}

function malformed(address: string): string | undefined {
  if (address.includes('://')) return 'is a URL and not HOST:PORT'
  const character = /[^\w.:[\]%-]/u.exec(address)?.[0]
  if (character !== undefined) return `has the character ${JSON.stringify(character)}, which no address has`
  const port = /:(\d{1,6})$/.exec(address)?.[1]
  if (port === undefined) return 'has no port'
  if (Number(port) < 1 || Number(port) > 65_535) return `has the port ${port}, which is not from 1 to 65535`
  const host = hostIn(address)
  if (host === '' || host === 'null') return 'has no host'
  if (host === '0.0.0.0' || host === '::')
    return 'stands for all addresses of a machine, and no client can connect to it'
  return /^[\d.]+$/.test(host) && isIP(host) === 0 ? `has the host ${host}, which is no IP address` : undefined
}

/** Without the port, and without the brackets of an IPv6 address. */
function hostIn(address: string): string {
  return address.slice(0, address.lastIndexOf(':')).replace(/^\[(.*)\]$/, '$1')
}

/** Whether a host means the machine itself. */
export function isLoopback(host: string): boolean {
  return host === 'localhost' || host === '::1' || /^(?:::ffff:)?127\./.test(host)
}
