import * as fs from 'node:fs'
import { createServer } from 'node:net'
import { diskError } from './disk.ts'

/** macOS and BSD: open with an exclusive flock, and fail instead of waiting. */
const O_EXLOCK_NONBLOCK = 0x20 | 0x4

/**
 * Claims a file for this process: Apache's DefaultMessageStore.start, which takes a POSIX lock on the first byte of `lock`.
 *
 * Node has no POSIX lock. Among Gantry's own processes the claim is a name that the kernel gives to one process at a time and takes
 * back when that process ends: on Linux a socket in the abstract namespace, on Windows a pipe, both named after the file's
 * identity. An Apache broker is noticed by its entry in `/proc/locks`. It does not notice us, so start Apache only after
 * Gantry has stopped.
 * @throws EBUSY
 */
export async function claimFile(path: string): Promise<Disposable> {
  const fd = fs.openSync(path, fs.constants.O_RDWR | fs.constants.O_CREAT, 0o644)
  let identity: fs.BigIntStats
  try {
    identity = fs.fstatSync(fd, { bigint: true })
  } finally {
    fs.closeSync(fd)
  }
  const holder = posixLockHolder(identity.ino)
  if (holder !== undefined) throw busy(path, `process ${holder}`)
  const name = `gantry-store-${identity.dev}-${identity.ino}`
  if (process.platform === 'linux') return claimName(path, `\0${name}`)
  if (process.platform === 'win32') return claimName(path, `\\\\.\\pipe\\${name}`)
  return claimByFlock(path)
}

function busy(path: string, holder: string): Error {
  return diskError('EBUSY', `${path} is claimed by ${holder}`)
}

function claimName(path: string, name: string): Promise<Disposable> {
  const { promise, resolve, reject } = Promise.withResolvers<Disposable>()
  const server = createServer(socket => socket.destroy())
  server.unref()
  server.once('error', (error: NodeJS.ErrnoException) =>
    reject(error.code === 'EADDRINUSE' ? busy(path, 'another Gantry store') : error),
  )
  server.listen({ path: name, exclusive: true }, () => resolve({ [Symbol.dispose]: () => void server.close() }))
  return promise
}

function claimByFlock(path: string): Disposable {
  try {
    const fd = fs.openSync(path, fs.constants.O_RDWR | O_EXLOCK_NONBLOCK)
    return { [Symbol.dispose]: () => fs.closeSync(fd) }
  } catch (error) {
    throw (error as NodeJS.ErrnoException).code === 'EAGAIN' ? busy(path, 'another process') : error
  }
}

/** The process that has a POSIX lock on a file, by Linux's table of locks; undefined if there is none, or no such table. */
function posixLockHolder(inode: bigint): number | undefined {
  let table: string
  try {
    table = fs.readFileSync('/proc/locks', 'utf8')
  } catch {
    return undefined
  }
  // 1: POSIX  ADVISORY  WRITE 4711 fd:01:1835022 0 0
  for (const line of table.split('\n')) {
    const [, kind, , , pid, file] = line.trim().split(/\s+/)
    if (kind === 'POSIX' && file?.endsWith(`:${inode}`)) return Number(pid)
  }
  return undefined
}
