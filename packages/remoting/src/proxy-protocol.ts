import { isIPv4, isIPv6 } from 'node:net'
import { RemotingError } from './errors.ts'
import { PROXY_V2_SIGNATURE } from './protocol-signatures.ts'

/** What a load balancer says about the connection that it forwards (the PROXY protocol of haproxy). */
export interface ProxyPreamble {
  /** The client, `ip:port`. Null if the connection is the proxy's own or its client is unknown: then the TCP peer counts. */
  readonly source: string | null
  /** Length of the preamble, bytes. The data of the connection follows it. */
  readonly length: number
}

/** The longest line that version 1 allows, with its line end. */
export const PROXY_V1_LIMIT = 107
/** Default limit of a version 2 preamble: two UNIX addresses and some 300 bytes of extensions. */
export const PROXY_V2_LIMIT = 536

/**
 * Reads a version 1 preamble from the start of a connection. Undefined while it is incomplete.
 * @throws RemotingError BAD_FRAME if it is malformed.
 */
export function readProxyV1(bytes: Buffer): ProxyPreamble | undefined {
  const end = bytes.subarray(0, PROXY_V1_LIMIT).indexOf('\r\n')
  if (end === -1) {
    if (bytes.length >= PROXY_V1_LIMIT) throw broken(`no line end within ${PROXY_V1_LIMIT} bytes`)
    return undefined
  }
  return { source: sourceOfLine(bytes.toString('latin1', 0, end)), length: end + 2 }
}

function sourceOfLine(line: string): string | null {
  const [word, family, source = '', destination = '', sourcePort = '', destinationPort = '', ...more] = line.split(' ')
  if (word !== 'PROXY') throw broken('it does not begin with PROXY')
  if (family === 'UNKNOWN') return null
  const isAddress = family === 'TCP4' ? isIPv4 : family === 'TCP6' ? isIPv6 : undefined
  if (isAddress === undefined) throw broken(`the family ${JSON.stringify(family ?? '')} is not TCP4, TCP6 or UNKNOWN`)
  if (!isAddress(source) || !isAddress(destination)) throw broken(`its addresses are not of the family ${family}`)
  if (!isPort(sourcePort) || !isPort(destinationPort) || more.length > 0) throw broken('its ports are not two numbers')
  return `${source}:${sourcePort}`
}

function isPort(text: string): boolean {
  return /^(?:0|[1-9]\d{0,4})$/.test(text) && Number(text) <= 0xffff
}

const V2_HEADER = 16
const LOCAL = 0x20
const PROXY = 0x21
const ADDRESS_BYTES: Readonly<Record<number, number>> = { 0x10: 12, 0x20: 36, 0x30: 216 }

/**
 * Reads a version 2 preamble from the start of a connection. Undefined while it is incomplete.
 * Extensions (TLVs) are skipped, never kept.
 * @param limit Most bytes that a preamble may take; checked before they have arrived.
 * @throws RemotingError BAD_FRAME if it is malformed or too long.
 */
export function readProxyV2(bytes: Buffer, limit = PROXY_V2_LIMIT): ProxyPreamble | undefined {
  if (bytes.length < V2_HEADER) return undefined
  if (!bytes.subarray(0, PROXY_V2_SIGNATURE.length).equals(PROXY_V2_SIGNATURE)) throw broken('its signature is wrong')
  const command = bytes.readUInt8(12)
  const family = bytes.readUInt8(13)
  const length = V2_HEADER + bytes.readUInt16BE(14)
  if (command !== LOCAL && command !== PROXY) throw broken(`version and command 0x${command.toString(16)} are unknown`)
  if (length > limit) throw broken(`it announces ${length} bytes, the limit is ${limit}`)
  const needed = command === LOCAL ? 0 : addressBytes(family)
  if (length < V2_HEADER + needed) throw broken('it is too short for its addresses')
  if (bytes.length < length) return undefined
  return { source: command === LOCAL ? null : sourceOfBlock(bytes.subarray(V2_HEADER, length), family), length }
}

/** Address family in the high four bits (unspecified, IPv4, IPv6, UNIX), transport in the low ones. */
function addressBytes(family: number): number {
  const transport = family & 0x0f
  if (family === 0) return 0
  const bytes = ADDRESS_BYTES[family & 0xf0]
  if (bytes === undefined || transport > 2) throw broken(`the address family 0x${family.toString(16)} is unknown`)
  return bytes
}

function sourceOfBlock(block: Buffer, family: number): string | null {
  switch (family & 0xf0) {
    case 0x10:
      return `${block.subarray(0, 4).join('.')}:${block.readUInt16BE(8)}`
    case 0x20:
      return `${ipv6Text(block.subarray(0, 16))}:${block.readUInt16BE(32)}`
    default:
      return null
  }
}

function ipv6Text(bytes: Buffer): string {
  const words = Array.from({ length: 8 }, (_, i) => bytes.readUInt16BE(2 * i).toString(16))
  // URL hosts are written in the canonical short form.
  return new URL(`http://[${words.join(':')}]`).hostname.slice(1, -1)
}

function broken(why: string): RemotingError {
  return new RemotingError('BAD_FRAME', `broken PROXY protocol preamble: ${why}`)
}
