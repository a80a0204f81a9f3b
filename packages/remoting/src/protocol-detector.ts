import type { Duplex } from 'node:stream'
import type { AddressRanges } from './address-range.ts'
import { detectProtocol } from './protocol-signatures.ts'
import { ipOf } from './peer-address.ts'
import { readProxyV1, readProxyV2 } from './proxy-protocol.ts'
import type { ServerTls } from './tls.ts'

/** The protocol of a connection, and the bytes that were read to detect it. */
export interface DetectedProtocol {
  readonly protocol: 'remoting' | 'http1' | 'http2'
  /** The stream to continue with: the given one, or the TLS socket over it. It has no listener of the detector. */
  readonly stream: Duplex
  /** The bytes read so far. */
  readonly bytes: Buffer
  /** `ip:port` of the client, from the PROXY preamble if there was one. */
  readonly remoteAddress: string
  readonly encrypted: boolean
}

export interface ProtocolDetectorOptions {
  readonly tls?: ServerTls | undefined
  /** The peers that may send a client's address in a PROXY preamble. Default: none. */
  readonly proxies?: AddressRanges | undefined
  /** Largest PROXY preamble of version 2, bytes. */
  readonly proxyLimit: number
  /** Largest frame, bytes; it bounds the first byte of a frame. */
  readonly frameLimit: number
  onDetected(detected: DetectedProtocol): void
  /** The stream has closed or must not be served. `why` is for the log; undefined if the client just disconnected. */
  onRefused(why: string | undefined): void
}

const NO_BYTES = Buffer.alloc(0)

/**
 * Detects the protocol of a new connection: an optional PROXY preamble, an optional TLS handshake, then remoting or HTTP
 * (Apache's HandshakeHandler and TlsModeHandler). Owns the stream until it calls `onDetected` or `onRefused`, once.
 */
export class ProtocolDetector {
  readonly #options: ProtocolDetectorOptions
  #stream: Duplex
  #bytes: Buffer = NO_BYTES
  #remoteAddress: string
  #proxied = false
  #encrypted = false
  #done = false

  constructor(stream: Duplex, remoteAddress: string, options: ProtocolDetectorOptions) {
    this.#stream = stream
    this.#remoteAddress = remoteAddress
    this.#options = options
    this.#listen(stream)
  }

  get remoteAddress(): string {
    return this.#remoteAddress
  }

  /** Refuses the connection, for example at its deadline or when the server closes. */
  refuse(why: string | undefined): void {
    if (this.#done) return
    this.#done = true
    this.#unlisten()
    // Errors of a stream that was destroyed on purpose are ignored.
    this.#stream.on('error', () => {})
    this.#stream.destroy()
    this.#options.onRefused(why)
  }

  readonly #onData = (chunk: Buffer): void => {
    this.#bytes = this.#bytes.length === 0 ? chunk : Buffer.concat([this.#bytes, chunk])
    this.#decide()
  }

  readonly #onEnd = (): void => this.refuse(undefined)

  readonly #onError = (error: Error): void => this.refuse(error.message)

  #listen(stream: Duplex): void {
    stream.on('data', this.#onData).on('end', this.#onEnd).on('close', this.#onEnd).on('error', this.#onError)
  }

  #unlisten(): void {
    this.#stream.off('data', this.#onData).off('end', this.#onEnd).off('close', this.#onEnd).off('error', this.#onError)
  }

  #decide(): void {
    const protocol = detectProtocol(this.#bytes, this.#options.frameLimit)
    switch (protocol) {
      case 'more':
        return
      case 'proxy-v1':
      case 'proxy-v2':
        this.#readPreamble(protocol)
        return
      case 'tls':
        this.#startTls()
        return
      case 'unknown':
        this.refuse(`its first bytes, ${this.#bytes.toString('hex', 0, 16)}, match no known protocol`)
        return
      default:
        this.#finish(protocol)
    }
  }

  #readPreamble(version: 'proxy-v1' | 'proxy-v2'): void {
    const refusal = this.#whyNoPreamble()
    if (refusal !== undefined) {
      this.refuse(refusal)
      return
    }
    try {
      const preamble =
        version === 'proxy-v1' ? readProxyV1(this.#bytes) : readProxyV2(this.#bytes, this.#options.proxyLimit)
      if (preamble === undefined) return
      this.#proxied = true
      this.#remoteAddress = preamble.source ?? this.#remoteAddress
      this.#bytes = this.#bytes.subarray(preamble.length)
    } catch (error) {
      this.refuse((error as Error).message)
      return
    }
    this.#decide()
  }

  #whyNoPreamble(): string | undefined {
    if (this.#proxied) return 'a second PROXY protocol preamble'
    if (this.#encrypted) return 'a PROXY protocol preamble inside TLS'
    if (this.#options.proxies?.includes(ipOf(this.#remoteAddress))) return undefined
    return 'it sent a PROXY protocol preamble, and its address is not in an allowed range'
  }

  #startTls(): void {
    const { tls } = this.#options
    if (this.#encrypted) this.refuse('TLS inside TLS')
    else if (tls === undefined || tls.mode === 'disabled') this.refuse('it began a TLS handshake, and TLS is disabled')
    else void this.#makeHandshake(tls)
  }

  async #makeHandshake(tls: ServerTls): Promise<void> {
    const stream = this.#stream
    // From here on the bytes belong to the TLS socket.
    stream.off('data', this.#onData)
    unshiftBytes(stream, this.#bytes)
    this.#bytes = NO_BYTES
    try {
      const socket = await tls.accept(stream)
      if (this.#done) {
        socket.destroy()
        return
      }
      this.#unlisten()
      // The TLS socket emits errors of the underlying stream as well.
      stream.on('error', () => {})
      socket.once('close', () => stream.destroy())
      this.#encrypted = true
      this.#stream = socket
      this.#listen(socket)
    } catch (error) {
      this.refuse((error as Error).message)
    }
  }

  #finish(protocol: DetectedProtocol['protocol']): void {
    if (!this.#encrypted && this.#options.tls?.mode === 'enforcing') {
      this.refuse('it does not speak TLS, and TLS is enforced')
      return
    }
    this.#done = true
    this.#unlisten()
    this.#options.onDetected({
      protocol,
      stream: this.#stream,
      bytes: this.#bytes,
      remoteAddress: this.#remoteAddress,
      encrypted: this.#encrypted,
    })
  }
}

/** Puts bytes back into a stream, so that its next reader gets them first. */
export function unshiftBytes(stream: Duplex, bytes: Buffer): void {
  stream.pause()
  if (bytes.length > 0) stream.unshift(bytes)
}
