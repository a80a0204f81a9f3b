import { connect, Socket, type TcpNetConnectOpts } from 'node:net'
import type { Duplex } from 'node:stream'

/** All shared sockets read into this memory: a receiver takes the bytes before another read can happen. */
const MEMORY = Buffer.allocUnsafeSlow(64 * 1024)

/** Takes the bytes of a socket. */
interface Receiver {
  take: (bytes: Buffer) => void
}

const receivers = new WeakMap<Duplex, Receiver>()

/**
 * Connects a socket that emits no 'data' events: `readShared` reads it. Replies arrive one by one, and the memory and the stream
 * events for each of them would cost a twentieth of all that a message costs.
 */
export function connectShared(options: TcpNetConnectOpts): Socket {
  const receiver: Receiver = { take: () => {} }
  const callback = (size: number): boolean => {
    receiver.take(MEMORY.subarray(0, size))
    return true
  }
  const socket = connect({ ...options, onread: { buffer: MEMORY, callback } })
  receivers.set(socket, receiver)
  // Nothing is read before there is a receiver.
  return socket.pause()
}

/**
 * Whether each read of a stream has memory of its own, which no one else uses, as those of sockets. A stream in memory hands on what
 * its sender has written.
 */
export function ownsReads(stream: Duplex): boolean {
  return stream instanceof Socket && !receivers.has(stream)
}

/** Calls `take` with the bytes that a stream reads. True if the next read overwrites them once `take` has returned. */
export function readShared(stream: Duplex, take: (bytes: Buffer) => void): boolean {
  const receiver = receivers.get(stream)
  if (receiver === undefined) {
    stream.on('data', take)
    return false
  }
  receiver.take = take
  stream.resume()
  return true
}
