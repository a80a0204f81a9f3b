import type { Duplex } from 'node:stream'
import {
  type Clock,
  clientTls,
  type Logger,
  loadTlsOptions,
  type OtherProtocols,
  type ServerLimits,
  ServerTls,
} from '@gantrymq/remoting'
import type { HttpEndpoint } from './http/http-endpoint.ts'
import type { OptionSet } from './options/option-set.ts'
import type { ServingOptions } from './options/serving-options.ts'

/** The limits of a server's connections. */
export function limitsOf(options: ServingOptions): Partial<ServerLimits> {
  return {
    maxConnections: options.maxConnections,
    maxConnectionsPerAddress: options.maxConnectionsPerAddress,
    idleMs: idleMsOf(options),
    maxFrame: options.maxFrameSize,
    maxFrameMemory: options.maxFrameMemory,
    maxHeader: options.maxHeaderSize,
    maxFields: options.maxHeaderFields,
    maxAnswering: options.maxRequestsInProgress,
    ...(options.writeBufferHighWaterMark > 0 && { maxQueued: options.writeBufferHighWaterMark }),
    maxQueuedHard: options.maxUnreadBytes,
    slowReaderMs: options.slowReaderMillis,
    slowFrameMs: options.slowFrameMillis,
  }
}

/** The only limit that changes at run time: for `RemotingServer.setIdleMs`. */
export function idleMsOf({ serverChannelMaxIdleTimeSeconds }: ServingOptions): number {
  return serverChannelMaxIdleTimeSeconds * 1000
}

/** Serves HTTP on the port of the remoting protocol. */
export function httpProtocols(http: HttpEndpoint): OtherProtocols {
  return {
    http1: (stream: Duplex) => http.accept(stream),
    http2: (stream: Duplex, remoteAddress: string) => http.acceptHttp2(stream, remoteAddress),
  }
}

/** What a server needs for TLS: for its own connections, and for those that it opens. */
export interface OpenServerTls {
  readonly server: ServerTls | undefined
  readonly client: Awaited<ReturnType<typeof clientTls>> | undefined
}

/**
 * Reads keys and certificates. The caller closes `server`, which looks for changed files.
 * @throws RemotingError TLS, BAD_OPTION
 */
export async function openServerTls<O>(
  set: OptionSet<O>,
  options: O,
  { log, clock }: { readonly log: Logger; readonly clock: Clock },
): Promise<OpenServerTls> {
  const properties = new Map<string, string>()
  for (const name of set.names) {
    const property = set.property(name)
    const value: unknown = options[name]
    if (value !== null && property.startsWith('tls.')) {
      properties.set(property, set.option(name).print(value))
    }
  }
  const { server, client } = await loadTlsOptions(properties, log)
  return {
    server: server.mode === 'disabled' ? undefined : await ServerTls.open(server, { clock, log }),
    client: client.enable ? await clientTls(client) : undefined,
  }
}
