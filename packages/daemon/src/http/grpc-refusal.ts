import type { ServerHttp2Stream } from 'node:http2'
import type { Duplex } from 'node:stream'
import type { Page, PageRequest } from './page.ts'

/** What gRPC clients are told: printable ASCII without percent signs, which gRPC would want escaped. */
export function grpcMessage(role: string): string {
  return (
    `this is a RocketMQ ${role}, which speaks the remoting protocol; ` +
    'gRPC clients must dial the RocketMQ proxy instead (its default port is 8081)'
  )
}

const GRPC_UNIMPLEMENTED = '12'

/** Bounds what a peer can make one session remember. */
const sessionOptions = {
  maxSessionMemory: 1,
  maxHeaderListPairs: 64,
  settings: { enablePush: false, maxConcurrentStreams: 8, maxHeaderListSize: 8192, initialWindowSize: 16_384 },
}

export interface Http2Handlers {
  /** The page of a request that is no gRPC call. Never rejects. */
  answer(request: PageRequest): Promise<Page>
  /** An answer other than to a gRPC call is on its way or given up. */
  answered(): void
  /** A gRPC call has been refused. */
  refused(path: string): void
  failed(error: Error): void
}

/**
 * Serves a connection that began with HTTP/2's preface: gRPC calls are told where to go, all other requests get the
 * pages. The session is not ended with the answer: the next call may be on its way, and closing would refuse it without a
 * reason (tried with grpc-js). The endpoint ends the connection when it falls silent.
 */
export function serveHttp2(socket: Duplex, role: string, handlers: Http2Handlers): void {
  // Not imported: a server that meets no HTTP/2 need not pay 12 ms and 8 MB for it.
  const session = process.getBuiltinModule('node:http2').performServerHandshake(socket, sessionOptions)
  session.on('error', error => handlers.failed(error))
  session.on('stream', (stream, headers) => {
    stream.on('error', error => handlers.failed(error))
    const path = headers[':path'] ?? ''
    if (String(headers['content-type']).startsWith('application/grpc')) {
      refuseCall(stream, role)
      handlers.refused(path)
    } else {
      stream.once('close', () => handlers.answered())
      void sendPage(stream, { method: String(headers[':method']), target: path }, handlers)
    }
  })
}

/** A gRPC answer without messages: one block of headers that are trailers at once ("Trailers-Only"). */
function refuseCall(stream: ServerHttp2Stream, role: string): void {
  stream.respond(
    {
      ':status': 200,
      'content-type': 'application/grpc',
      'grpc-status': GRPC_UNIMPLEMENTED,
      'grpc-message': grpcMessage(role),
    },
    { endStream: true },
  )
  // The caller may be in the middle of its message, or keep a stream of them open.
  stream.close()
}

async function sendPage(stream: ServerHttp2Stream, request: PageRequest, handlers: Http2Handlers): Promise<void> {
  const page = await handlers.answer(request)
  if (stream.destroyed) return
  stream.respond({ ':status': page.status, ...page.headers, 'content-length': Buffer.byteLength(page.body) })
  stream.end(request.method === 'HEAD' ? '' : page.body, () => stream.close())
}
