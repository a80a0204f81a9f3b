import { createRequire } from 'node:module'
import { promisify } from 'node:util'
import * as zlib from 'node:zlib'
import { RemotingError } from '@gantrymq/remoting'
import { readLz4Frames } from './lz4-frame.ts'
import type { Compression } from './sys-flag.ts'
import { hasWholeZstdFrame } from './zstd-frame.ts'

/** Java's `rocketmq.message.compressLevel`. */
export const DEFAULT_COMPRESSION_LEVEL = 5

/**
 * The maximum size of a decompressed body, bytes. Senders check the size before they compress, and 4 MiB is the default limit of
 * clients and brokers; this leaves room for a limit sixteen times as high. zlib can expand 1 MB to 1 GB.
 */
export const MAX_DECOMPRESSED_BYTES = 64 * 1024 * 1024

/**
 * From this size on, the asynchronous functions use Node's thread pool. Measured with JSON: deflating 64 KiB takes 0.6 ms and
 * inflating 0.12 ms, compared with 0.05 ms for passing it to the pool and back; 4 KiB take 0.04 and 0.02 ms.
 */
export const ASYNC_COMPRESSION_BYTES = 64 * 1024

/**
 * Compresses a body as Java's CompressorFactory does. LZ4 has no levels.
 * @throws RemotingError BAD_OPTION if the level is out of range, or this Node has no zstd, or `lz4-napi` is missing
 */
export function compress(body: Buffer, type: Compression, level = DEFAULT_COMPRESSION_LEVEL): Buffer {
  try {
    if (type === 'zlib') return zlib.deflateSync(body, { level })
    if (type === 'zstd') return zstd().zstdCompressSync(body, zstdLevel(level))
    return lz4().compressFrameSync(body)
  } catch (error) {
    throw notCompressed(type, error)
  }
}

/** As `compress`, but a large body does not block the event loop. */
export async function compressAsync(
  body: Buffer,
  type: Compression,
  level = DEFAULT_COMPRESSION_LEVEL,
): Promise<Buffer> {
  if (body.length < ASYNC_COMPRESSION_BYTES) return compress(body, type, level)
  try {
    if (type === 'zlib') return await promisify<Buffer, zlib.ZlibOptions, Buffer>(zlib.deflate)(body, { level })
    if (type === 'zstd') {
      return await promisify<Buffer, zlib.ZstdOptions, Buffer>(zstd().zstdCompress)(body, zstdLevel(level))
    }
    return await lz4().compressFrame(body)
  } catch (error) {
    throw notCompressed(type, error)
  }
}

/**
 * Decompresses a body. LZ4 needs no optional package here.
 * @throws RemotingError BAD_BODY if it is corrupt or would be larger than `maxBytes`; BAD_OPTION if this Node has no zstd
 */
export function decompress(body: Buffer, type: Compression, maxBytes = MAX_DECOMPRESSED_BYTES): Buffer {
  const options = { maxOutputLength: maxBytes }
  try {
    if (type === 'zlib') return zlib.inflateSync(body, options)
    if (type === 'zstd') return zstd().zstdDecompressSync(wholeZstd(body), options)
    return readLz4Frames(body, maxBytes)
  } catch (error) {
    throw notDecompressed(type, maxBytes, error)
  }
}

/** As `decompress`, but a large body does not block the event loop. LZ4 bodies are an exception: they are read synchronously. */
export async function decompressAsync(
  body: Buffer,
  type: Compression,
  maxBytes = MAX_DECOMPRESSED_BYTES,
): Promise<Buffer> {
  if (type === 'lz4' || body.length < ASYNC_COMPRESSION_BYTES) return decompress(body, type, maxBytes)
  const options = { maxOutputLength: maxBytes }
  try {
    if (type === 'zlib') return await promisify<Buffer, zlib.ZlibOptions, Buffer>(zlib.inflate)(body, options)
    return await promisify<Buffer, zlib.ZstdOptions, Buffer>(zstd().zstdDecompress)(wholeZstd(body), options)
  } catch (error) {
    throw notDecompressed(type, maxBytes, error)
  }
}

function wholeZstd(body: Buffer): Buffer {
  if (!hasWholeZstdFrame(body)) throw new Error('it is not a zstd frame, or a truncated one')
  return body
}

function zstd(): typeof zlib {
  if (typeof zlib.zstdCompressSync === 'function') return zlib
  throw new RemotingError('BAD_OPTION', `zstd needs Node 22.15 or later, this is ${process.version}`)
}

/** Checks the level, because Node accepts any number and zstd replaces an invalid one. */
function zstdLevel(level: number): zlib.ZstdOptions {
  if (!Number.isInteger(level) || level < 1 || level > 22) {
    throw new RemotingError('BAD_OPTION', `the compression level of zstd is 1 to 22, not ${level}`)
  }
  return { params: { [zlib.constants.ZSTD_c_compressionLevel]: level } }
}

type Lz4 = typeof import('lz4-napi')
let loadedLz4: Lz4 | undefined

/** Loads the package at its first use, because most programs do not need it. */
function lz4(): Lz4 {
  try {
    return (loadedLz4 ??= createRequire(import.meta.url)('lz4-napi') as Lz4)
  } catch (cause) {
    throw new RemotingError('BAD_OPTION', 'to compress with LZ4, install the optional package: npm i lz4-napi', {
      cause,
    })
  }
}

function notCompressed(type: Compression, cause: unknown): RemotingError {
  if (cause instanceof RemotingError) return cause
  return new RemotingError('BAD_OPTION', `the body cannot be compressed with ${type}: ${textOf(cause)}`, { cause })
}

function notDecompressed(type: Compression, maxBytes: number, cause: unknown): RemotingError {
  if (cause instanceof RemotingError) return cause
  const large = cause instanceof Error && 'code' in cause && cause.code === 'ERR_BUFFER_TOO_LARGE'
  const why = large ? `is larger than ${maxBytes} bytes when decompressed` : `cannot be read: ${textOf(cause)}`
  return new RemotingError('BAD_BODY', `the ${type} body ${why}`, { cause })
}

function textOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}
