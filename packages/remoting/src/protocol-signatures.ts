/** The protocol of a connection, by its first bytes. `more`: they do not decide it yet. */
export type Protocol = 'remoting' | 'tls' | 'proxy-v1' | 'proxy-v2' | 'http1' | 'http2' | 'unknown' | 'more'

/** The first twelve bytes of a PROXY protocol preamble of version 2. */
export const PROXY_V2_SIGNATURE = Buffer.from('\r\n\r\n\0\r\nQUIT\n', 'latin1')

const HTTP_METHODS = ['GET', 'HEAD', 'POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH', 'TRACE', 'CONNECT']

const openings: readonly { readonly bytes: Buffer; readonly protocol: Protocol }[] = [
  // A TLS record of the type handshake (Apache's TlsHelper.HANDSHAKE_MAGIC_CODE).
  { bytes: Buffer.of(0x16), protocol: 'tls' },
  { bytes: PROXY_V2_SIGNATURE, protocol: 'proxy-v2' },
  { bytes: Buffer.from('PROXY '), protocol: 'proxy-v1' },
  { bytes: Buffer.from('PRI * HTTP/2.0'), protocol: 'http2' },
  ...HTTP_METHODS.map(method => ({ bytes: Buffer.from(`${method} `), protocol: 'http1' as const })),
]

/**
 * Detects the protocol of a connection from all bytes received so far, as soon as they decide it: one byte is enough for
 * remoting and TLS, at most fourteen for the others.
 * @param frameLimit Largest frame accepted, its length word included. It bounds the first byte of a frame.
 */
export function detectProtocol(bytes: Uint8Array, frameLimit = 16 * 1024 * 1024): Protocol {
  const [first] = bytes
  if (first === undefined) return 'more'
  let more = false
  for (const { bytes: opening, protocol } of openings) {
    if (!agree(bytes, opening)) continue
    if (bytes.length >= opening.length) return protocol
    more = true
  }
  if (more) return 'more'
  // This is the most significant byte of a frame's length. The frame decoder refuses a length that is still too large.
  return first * 2 ** 24 + 4 <= frameLimit ? 'remoting' : 'unknown'
}

function agree(bytes: Uint8Array, opening: Uint8Array): boolean {
  const shared = Math.min(bytes.length, opening.length)
  for (let i = 0; i < shared; i++) if (bytes[i] !== opening[i]) return false
  return true
}
