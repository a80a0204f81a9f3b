import { BlockList, isIP, isIPv4 } from 'node:net'
import { RemotingError } from './errors.ts'

/** A set of addresses, given as addresses and CIDR blocks. */
export interface AddressRanges {
  /** True for an address in the set; IPv4 also in its IPv6-mapped form. False for text that is not an address. */
  includes(address: string): boolean
}

/**
 * Reads addresses and blocks separated by commas or blanks: `10.0.0.0/8, 192.168.1.7, fd00::/8`. Empty text is the empty set.
 * @throws RemotingError BAD_OPTION naming the part that is neither.
 */
export function addressRanges(text: string): AddressRanges {
  const list = new BlockList()
  for (const part of text.split(/[\s,]+/)) if (part !== '') addRange(list, part)
  return {
    includes(address) {
      const bare = withoutZone(address)
      const version = isIP(bare)
      return version !== 0 && list.check(bare, version === 4 ? 'ipv4' : 'ipv6')
    },
  }
}

function addRange(list: BlockList, part: string): void {
  const [address = '', bits, ...more] = part.split('/')
  const family = isIPv4(address) ? 'ipv4' : 'ipv6'
  const width = family === 'ipv4' ? 32 : 128
  const prefix = bits === undefined ? width : /^\d{1,3}$/.test(bits) ? Number(bits) : Number.NaN
  if (isIP(address) === 0 || address.includes('%') || more.length > 0 || !(prefix <= width)) {
    throw new RemotingError('BAD_OPTION', `"${part}" is not an address or a block such as 10.0.0.0/8 or fd00::/8`)
  }
  list.addSubnet(address, prefix, family)
}

// A link-local peer has an address such as fe80::1%eth0; the interface does not matter here.
function withoutZone(address: string): string {
  const zone = address.indexOf('%')
  return zone === -1 ? address : address.slice(0, zone)
}
