import { isIP } from 'node:net'

/**
 * Whether a request may name this host in its Host header. A page of another site can reach a server in its visitor's network
 * under a name of its own that it has resolve to the server's address (DNS rebinding); the browser then sends that name.
 * Addresses and loopback names cannot be such names, and clients that are no browsers may send none.
 * @param allowed Further names; `*.example.com` is every name below example.com, and `*` is every name.
 */
export function isAllowedHost(host: string | undefined, allowed: readonly string[]): boolean {
  const name = nameIn(host ?? '')
  if (name === '' || isIP(name) !== 0 || name === 'localhost' || name.endsWith('.localhost')) return true
  return allowed.some(each => {
    const pattern = each.toLowerCase()
    return pattern === '*' || pattern === name || (pattern.startsWith('*.') && name.endsWith(pattern.slice(1)))
  })
}

/** Without the port, the brackets of an IPv6 address and the dot of the root. */
function nameIn(host: string): string {
  const [, address, name = ''] = /^(?:\[(.*)\]|([^:]*))(?::\d*)?$/.exec(host) ?? [undefined, undefined, host]
  return (address ?? name).toLowerCase().replace(/\.$/, '')
}
