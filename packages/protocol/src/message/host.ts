import { isIPv4, isIPv6 } from 'node:net'
import { RemotingError } from '@gantrymq/remoting'

/** An address as messages carry it. */
export interface Host {
  /** IPv4 or IPv6, as text. */
  readonly ip: string
  readonly port: number
}

/**
 * The 4 or 16 bytes of an address.
 * @throws RemotingError BAD_OPTION
 */
export function ipBytes(ip: string): Buffer {
  if (isIPv4(ip)) return Buffer.from(ip.split('.').map(Number))
  if (!isIPv6(ip)) throw new RemotingError('BAD_OPTION', `${JSON.stringify(ip)} is no IP address`)
  const [head = '', tail] = ip.replace(/%.*$/, '').split('::')
  const front = words(head)
  const back = tail === undefined ? [] : words(tail)
  const gap = Array.from({ length: 8 - front.length - back.length }, () => 0)
  const bytes = Buffer.alloc(16)
  ;[...front, ...gap, ...back].forEach((word, index) => bytes.writeUInt16BE(word, index * 2))
  return bytes
}

/** Groups of an IPv6 address; the last may be an IPv4 address, which is two. */
function words(text: string): number[] {
  if (text === '') return []
  return text.split(':').flatMap(group => {
    if (!group.includes('.')) return [Number.parseInt(group, 16)]
    const four = ipBytes(group)
    return [four.readUInt16BE(0), four.readUInt16BE(2)]
  })
}

/** The text of 4 or 16 bytes, as Java's getHostAddress: no group of zeros is left out. */
export function ipText(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.')
  return Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16)).join(':')
}
