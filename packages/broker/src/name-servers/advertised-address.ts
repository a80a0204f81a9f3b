import { isIPv6 } from 'node:net'

/** What is known about the addresses of a broker when it starts. */
export interface AddressSources {
  /** The option brokerIP1. */
  readonly configured: string | null
  /** The address that the broker listens on. */
  readonly bindAddress: string
  /** This machine's address on the way to a name server; undefined without name servers, or if none can be reached. */
  readonly towardsNameServer: string | undefined
  readonly hasNameServers: boolean
}

/** The address under which clients reach a broker. */
export interface AdvertisedAddress {
  /** An IP address, or the host name in brokerIP1 or bindAddress. */
  readonly host: string
  /** Why clients on other machines cannot use it; undefined if they can, as far as the broker knows. */
  readonly warning?: string
  /** False if it was chosen because no name server could be reached. */
  readonly isFinal: boolean
}

const ANY = new Set(['0.0.0.0', '::', '::0'])

/**
 * Chooses the address that a broker registers: brokerIP1; else the address that it listens on, unless that is any; else the one by
 * which a name server is reached; else the loopback address. Apache takes the first address of the machine's interfaces, which in
 * containers and behind tunnels is often one that no client can use.
 */
export function advertisedAddress({
  configured,
  bindAddress,
  towardsNameServer,
  hasNameServers,
}: AddressSources): AdvertisedAddress {
  if (configured !== null) {
    return { host: configured, isFinal: true, ...(ANY.has(configured) && { warning: anyAddress(configured) }) }
  }
  const listensOnOne = !ANY.has(bindAddress)
  const host = listensOnOne ? bindAddress : (towardsNameServer ?? (bindAddress === '::' ? '::1' : '127.0.0.1'))
  const isFinal = listensOnOne || towardsNameServer !== undefined
  if (!isLoopback(host)) return { host, isFinal }
  const why = hasNameServers && !isFinal ? 'no name server could be reached' : undefined
  const warning =
    `the broker registers the address ${host}, which only clients on this machine can use` +
    `${why === undefined ? '' : ` (${why})`}; set brokerIP1 to the address of this machine that clients reach`
  return { host, warning, isFinal }
}

function anyAddress(host: string): string {
  return `brokerIP1 is ${host}, to which no client on another machine can connect; set it to the address of this machine that clients reach`
}

function isLoopback(host: string): boolean {
  return host.startsWith('127.') || host === '::1' || host === 'localhost'
}

/** `host:port`; an IPv6 address is in brackets, as all clients can read it. */
export function addressText(host: string, port: number): string {
  return `${isIPv6(host) ? `[${host}]` : host}:${port}`
}
