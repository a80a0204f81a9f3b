import type { Duplex } from 'node:stream'
import { readShared } from './shared-reads.ts'

/** An answer to a GET. */
export interface HttpAnswer {
  readonly status: number
  readonly body: string
}

/** No page that is read this way is larger. */
const MAX_ANSWER = 256 * 1024
const HEAD_END = '\r\n\r\n'

/**
 * Gets a page over an open stream, for servers that serve HTTP and remoting on one port. Undefined if what arrives is no answer of a
 * known length, such as nothing from a server that hangs up. Ends when the stream ends: destroy it to give up.
 */
export function httpGet(stream: Duplex, path: string): Promise<HttpAnswer | undefined> {
  const { promise, resolve } = Promise.withResolvers<HttpAnswer | undefined>()
  let bytes = Buffer.alloc(0)
  const end = (answer?: HttpAnswer): void => {
    resolve(answer)
    stream.destroy()
  }
  readShared(stream, chunk => {
    bytes = Buffer.concat([bytes, chunk])
    const answer = readAnswer(bytes)
    if (answer !== undefined || bytes.length > MAX_ANSWER) end(answer)
  })
  stream.on('error', () => end())
  stream.on('close', () => end())
  stream.on('end', () => end())
  // Servers check names against DNS rebinding; this one is always allowed.
  stream.write(`GET ${path} HTTP/1.1\r\nHost: localhost\r\nAccept: application/json\r\nConnection: close${HEAD_END}`)
  return promise
}

/** Undefined if it is not complete. */
function readAnswer(bytes: Buffer): HttpAnswer | undefined {
  const headEnd = bytes.indexOf(HEAD_END)
  if (headEnd === -1) return undefined
  const head = bytes.toString('latin1', 0, headEnd)
  const status = /^HTTP\/1\.[01] (\d{3})/.exec(head)?.[1]
  const length = /\r\ncontent-length: *(\d+)/i.exec(head)?.[1]
  const start = headEnd + HEAD_END.length
  if (status === undefined || length === undefined || bytes.length < start + Number(length)) return undefined
  return { status: Number(status), body: bytes.toString('utf8', start, start + Number(length)) }
}
