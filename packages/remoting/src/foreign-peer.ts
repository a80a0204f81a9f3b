/** How many bytes of a peer's first answer tell what it is. */
export const OPENING_BYTES = 16

const TLS_ALERT = 0x15
const TLS_MAJOR = 3
const HTTP2_SETTINGS = 4

/**
 * What a server is that answers a request of RocketMQ's protocol with these bytes, as the end of a sentence; undefined if they may be
 * an answer, or do not tell.
 */
export function foreignPeer(opening: Uint8Array): string | undefined {
  const [first, second] = opening
  if (first === TLS_ALERT && second === TLS_MAJOR) return 'it speaks TLS only: set option tls'
  if (isHttp2(opening))
    return 'it is an HTTP/2 server, such as the gRPC port of a RocketMQ proxy (8081), not a remoting port'
  if (isMySql(opening)) return 'it is a MySQL server'
  const text = Buffer.from(opening).toString('latin1')
  return texts.find(([pattern]) => pattern.test(text))?.[1]
}

const WEB = 'it is a web server (HTTP), such as a dashboard or a load balancer'

const texts: readonly (readonly [RegExp, string])[] = [
  [/^(HTTP\/|<!doc|<html|<\?xml)/i, WEB],
  [/^SSH-/, 'it is an SSH server'],
  [/^-(ERR|NOAUTH|DENIED)/, 'it is a Redis server'],
  [/^220[ -]/, 'it is an SMTP or FTP server'],
  [/^AMQP/, 'it is an AMQP server, such as RabbitMQ'],
]

// The greeting: three bytes of length, the first packet's number 0, and version 10 of the protocol.
function isMySql([length = 0, , , packet, version]: Uint8Array): boolean {
  return length > 1 && packet === 0 && version === 10
}

// A frame with a header of no bytes, which RocketMQ never sends, is the settings frame with which an HTTP/2 server begins.
function isHttp2(opening: Uint8Array): boolean {
  if (opening.length < 9) return false
  const [high, , , type, flags] = opening
  return high === 0 && type === HTTP2_SETTINGS && flags === 0 && opening.subarray(5, 9).every(byte => byte === 0)
}
