import type { Socket } from 'node:net'
import type { ConnectionOptions as TlsConnectionOptions } from 'node:tls'
import { tls as nodeTls } from './builtin.ts'
import { RemotingError } from './errors.ts'
import { connectShared } from './shared-reads.ts'

/**
 * Connects to `host:port`, with TLS if its options are given.
 * @throws RemotingError BAD_OPTION if the address is invalid, CONNECT_FAILED, TLS; the signal's reason if the signal is aborted.
 */
export function dialTcp(address: string, signal: AbortSignal, tls?: TlsConnectionOptions): Promise<Socket> {
  const where = parseAddress(address)
  return new Promise((resolve, reject) => {
    // A server name (SNI) is sent only if the caller sets one: Java's clients send none, and its servers ignore it.
    // Certificates are checked against the host in any case.
    const servername = tls?.servername ?? ''
    const socket =
      tls === undefined
        ? connectShared({ ...where, noDelay: true })
        : nodeTls().connect({ ...tls, ...where, servername })
    const abort = (): void => void socket.destroy(signal.reason as Error)
    const settle = (): void => {
      signal.removeEventListener('abort', abort)
      socket.off('error', onError)
    }
    const onError = (error: NodeJS.ErrnoException): void => {
      settle()
      // A destroyed socket may emit further errors, which no one needs.
      socket.on('error', () => {})
      socket.destroy()
      reject(signal.aborted ? (signal.reason as Error) : explain(error, tls !== undefined))
    }
    socket.on('error', onError)
    socket.once(tls === undefined ? 'connect' : 'secureConnect', () => {
      settle()
      // Until the connection adds its own listener: an error without a listener would end the process.
      socket.on('error', () => {})
      socket.setNoDelay()
      resolve(socket)
    })
    if (signal.aborted) abort()
    else signal.addEventListener('abort', abort, { once: true })
  })
}

function parseAddress(address: string): { readonly host: string; readonly port: number } {
  const colon = address.lastIndexOf(':')
  const host = address.slice(0, Math.max(colon, 0)).replace(/^\[(.*)\]$/, '$1')
  const port = Number(address.slice(colon + 1))
  if (host === '' || !Number.isInteger(port) || port < 1 || port > 0xffff) {
    throw new RemotingError(
      'BAD_OPTION',
      `"${address}" is not an address such as 10.0.0.1:9876 or broker.example.org:10911`,
    )
  }
  return { host, port }
}

const SYSTEM_ERRORS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens on this port',
  ENOTFOUND: 'the host name is not known',
  EHOSTUNREACH: 'the host cannot be reached',
  ETIMEDOUT: 'the host does not answer',
}

const UNKNOWN_AUTHORITY = "set the authority's certificate (ca, tls.client.trustCertPath)"

const NO_TLS = 'the server speaks no TLS on this port: leave option tls out, or name its TLS port'

const TLS_ERRORS: Readonly<Record<string, string>> = {
  ERR_TLS_CERT_ALTNAME_INVALID:
    'the certificate is for another name: connect by that name, or set servername or checkServerIdentity',
  DEPTH_ZERO_SELF_SIGNED_CERT: UNKNOWN_AUTHORITY,
  SELF_SIGNED_CERT_IN_CHAIN: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT: UNKNOWN_AUTHORITY,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: UNKNOWN_AUTHORITY,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: UNKNOWN_AUTHORITY,
  CERT_HAS_EXPIRED: 'the certificate of the server has expired',
  // OpenSSL's words for an answer that is no TLS: "wrong version number", "packet length too long".
  ERR_SSL_WRONG_VERSION_NUMBER: NO_TLS,
  ERR_SSL_PACKET_LENGTH_TOO_LONG: NO_TLS,
  EPROTO: NO_TLS,
  ECONNRESET:
    'it ended the connection during the handshake, as a server does that speaks no TLS (leave option tls out), or trusts no certificate of this client',
}

function explain(error: NodeJS.ErrnoException, secure: boolean): RemotingError {
  const known = SYSTEM_ERRORS[error.code ?? '']
  if (known !== undefined) return new RemotingError('CONNECT_FAILED', `${known} (${error.code})`, { cause: error })
  if (!secure) return new RemotingError('CONNECT_FAILED', error.message, { cause: error })
  const hint = TLS_ERRORS[error.code ?? ''] ?? 'check that the server speaks TLS, and which certificates it trusts'
  return new RemotingError('TLS', `${wordsOf(error)}: ${hint}`, { cause: error })
}

/** An error of OpenSSL names lines of its source; its `reason` does not. */
function wordsOf(error: Error & { readonly reason?: string }): string {
  return /:error:[\dA-F]+:/.test(error.message) ? (error.reason ?? error.message.trim()) : error.message
}
