import type { ServerHttp2Stream } from 'node:http2'
import type { Duplex } from 'node:stream'
import type { Page, PageRequest } from './page.ts'

/** The message for gRPC clients: printable ASCII without percent signs, which gRPC requires to be escaped. */
export function grpcMessage(role: string): string {
  return (
    `this is a RocketMQ ${role}, which speaks the remoting protocol; ` +
    'gRPC clients must connect to the RocketMQ proxy instead (its default port is 8081)'
  )
}

const GRPC_UNIMPLEMENTED = '12'

/** Limits the memory that a peer can make one session use. */
const sessionOptions = {
  maxSessionMemory: 1,
  maxHeaderListPairs: 64,
  settings: { enablePush: false, maxConcurrentStreams: 8, maxHeaderListSize: 8192, initialWindowSize: 16_384 },
}

export interface Http2Handlers {
  /** Returns the page for a request that is not a gRPC call. Never rejects. */
  answer(request: PageRequest): Promise<Page>
  /** An answer other than to a gRPC call has been sent or abandoned. */
  answered(): void
  /** A gRPC call has been refused. */
  refused(path: string): void
  failed(error: Error): void
}

/**
 * Serves a connection that began with HTTP/2's preface: gRPC calls get a message that points to the proxy, and all other
 * requests get the pages. The session does not end with the answer: the next call may already be in flight, and grpc-js
 * would see it fail without a reason. The endpoint ends the connection when it is silent.
 */
export function serveHttp2(socket: Duplex, role: string, handlers: Http2Handlers): void {
  // Loaded only here: it takes 12 ms and 8 MB, which a server without HTTP/2 clients need not spend.
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
      const method = String(headers[':method'])
      const host = headers[':authority'] ?? headers.host
      void sendPage(stream, { method, target: path, host, accept: headers.accept }, handlers)
    }
  })
}

/** A gRPC answer without messages: one block of headers that are also the trailers ("Trailers-Only"). */
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
  // The client may be in the middle of a message, or keep a stream of messages open.
  stream.close()
}

async function sendPage(stream: ServerHttp2Stream, request: PageRequest, handlers: Http2Handlers): Promise<void> {
  const page = await handlers.answer(request)
  if (stream.destroyed) return
  stream.respond({ ':status': page.status, ...page.headers, 'content-length': Buffer.byteLength(page.body) })
  stream.end(request.method === 'HEAD' ? '' : page.body, () => stream.close())
}
