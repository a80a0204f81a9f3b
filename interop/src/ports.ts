import { createServer } from 'node:net'

// Below the range from which systems give out ports for outgoing connections.
const LOWEST = 12_000
const HIGHEST = 32_000
const TRIES = 200

const given = new Set<number>()

function isFree(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const server = createServer()
    server.once('error', () => resolve(false))
    server.listen(port, '0.0.0.0', () => server.close(() => resolve(true)))
  })
}

async function areFree(ports: readonly number[]): Promise<boolean> {
  for (const port of ports) if (given.has(port) || !(await isFree(port))) return false
  return true
}

async function find(neighbours: readonly number[]): Promise<number> {
  for (let i = 0; i < TRIES; i++) {
    const port = LOWEST + Math.floor(Math.random() * (HIGHEST - LOWEST))
    const ports = neighbours.map(offset => port + offset)
    if (!(await areFree(ports))) continue
    for (const taken of ports) given.add(taken)
    return port
  }
  throw new Error('no free port found')
}

/** A port that is free now and that this process gives out once only. */
export const freePort = () => find([0])

/** A port whose neighbours are free too: a broker also takes port - 2 (fast channel) and port + 1 (replication). */
export const freeBrokerPort = () => find([-2, -1, 0, 1])
