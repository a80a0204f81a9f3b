import { isIPv4, isIPv6 } from 'node:net'
import { RemotingError } from '@gantrymq/remoting'

const DOT = 0x2e
const DIGIT_0 = 0x30

/** An address and a port, as in messages. */
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
  if (!isIPv6(ip)) throw noAddress(ip)
  const [head = '', tail] = ip.replace(/%.*$/, '').split('::')
  const front = words(head)
  const back = tail === undefined ? [] : words(tail)
  const gap = Array.from({ length: 8 - front.length - back.length }, () => 0)
  const bytes = Buffer.alloc(16)
  ;[...front, ...gap, ...back].forEach((word, index) => bytes.writeUInt16BE(word, index * 2))
  return bytes
}

/** Size of an address and its port in a message, bytes. */
export function hostSize({ ip }: Host): number {
  return isV6(ip) ? 20 : 8
}

/** Whether a valid address is an IPv6 address. */
export function isV6(ip: string): boolean {
  return ip.includes(':')
}

/**
 * Writes an address and its port into `out` at `at`, where there must be room for `hostSize` bytes.
 * @returns The position after them.
 * @throws RemotingError BAD_OPTION
 */
export function writeHost({ ip, port }: Host, out: Buffer, at: number): number {
  const end = isV6(ip) ? at + ipBytes(ip).copy(out, at) : writeIpv4(ip, out, at)
  return out.writeInt32BE(port, end)
}

/**
 * An address and its port as messages contain them, 8 or 20 bytes.
 * @throws RemotingError BAD_OPTION
 */
export function hostBytes(host: Host): Buffer {
  const bytes = Buffer.alloc(hostSize(host))
  writeHost(host, bytes, 0)
  return bytes
}

function writeIpv4(ip: string, out: Buffer, start: number): number {
  if (!isIPv4(ip)) throw noAddress(ip)
  let at = start
  let part = 0
  for (let i = 0; i < ip.length; i++) {
    const unit = ip.charCodeAt(i)
    if (unit === DOT) {
      out[at++] = part
      part = 0
    } else part = part * 10 + unit - DIGIT_0
  }
  out[at++] = part
  return at
}

function noAddress(ip: string): RemotingError {
  return new RemotingError('BAD_OPTION', `${JSON.stringify(ip)} is not an IP address`)
}

/** The groups of an IPv6 address. The last one may be an IPv4 address, which counts as two groups. */
function words(text: string): number[] {
  if (text === '') return []
  return text.split(':').flatMap(group => {
    if (!group.includes('.')) return [Number.parseInt(group, 16)]
    const four = ipBytes(group)
    return [four.readUInt16BE(0), four.readUInt16BE(2)]
  })
}

/** The text of 4 or 16 bytes, as Java's getHostAddress writes it: groups of zeros are not abbreviated. */
export function ipText(bytes: Buffer): string {
  if (bytes.length === 4) return bytes.join('.')
  return Array.from({ length: 8 }, (_, index) => bytes.readUInt16BE(index * 2).toString(16)).join(':')
}
