import net from 'node:net'
import { firstFrames, type Population, registerPlan } from './plan.ts'

const ANSWER_TIMEOUT_MS = 60_000

/** Sends one frame and waits for its answer. The answer to a registration fits into one packet. */
function ask(socket: net.Socket, frame: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(
      () => reject(new Error(`no answer to a registration in ${ANSWER_TIMEOUT_MS} ms`)),
      ANSWER_TIMEOUT_MS,
    )
    socket.once('data', answer => {
      clearTimeout(timer)
      resolve(answer)
    })
    socket.once('error', reject)
    socket.write(frame)
  })
}

/** Registered brokers with open connections: name servers remove a broker whose connection closes. */
export interface RegisteredBrokers {
  close(): void
}

/** Registers every broker of a population, one after the other. */
export async function registerBrokers(port: number, population: Population): Promise<RegisteredBrokers> {
  const sockets: net.Socket[] = []
  const close = () => {
    for (const socket of sockets) socket.destroy()
  }
  try {
    for (const frame of firstFrames(registerPlan(population, 'unchanged'))) {
      const socket = net.connect({ port, host: '127.0.0.1', noDelay: true })
      sockets.push(socket)
      const answer = await ask(socket, frame)
      if (!answer.includes('"code":0'))
        throw new Error(`the name server refused a registration: ${answer.toString('utf8', 8)}`)
      socket.on('data', () => {})
      socket.on('error', () => {})
    }
  } catch (error) {
    close()
    throw error
  }
  return { close }
}
