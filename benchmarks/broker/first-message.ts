import net from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { sendPlan } from './plan.ts'

const POLL_MS = 2
const BODY_BYTES = 128

/** Sends messages until a broker accepts one. @throws Error if the time passes first */
export async function firstMessage(port: number, topic: string, deadlineMs: number): Promise<void> {
  const [frame] = sendPlan([{ topic, id: 0 }], BODY_BYTES)
  if (frame === undefined) throw new Error('no frame')
  const deadline = performance.now() + deadlineMs
  while (!(await isAccepted(port, frame.bytes))) {
    if (performance.now() > deadline)
      throw new Error(`the broker on port ${port} accepted no message in ${deadlineMs} ms`)
    await sleep(POLL_MS)
  }
}

/** Sends one message on a connection of its own. */
function isAccepted(port: number, frame: Buffer): Promise<boolean> {
  return new Promise(resolve => {
    const socket = net.connect({ port, host: '127.0.0.1', noDelay: true })
    socket.on('connect', () => socket.write(frame))
    socket.on('data', answer => {
      socket.destroy()
      resolve(answer.includes('"code":0'))
    })
    socket.on('error', () => {})
    socket.on('close', () => resolve(false))
  })
}
