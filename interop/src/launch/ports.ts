import { createServer } from 'node:net'

// Below the range from which systems give out ports for outgoing connections.
const LOWEST = 12_000
const SLICES = 50
const SLICE = 400
const TRIES = 200

// Each process has a slice of its own: a Java server takes seconds from being given a port to opening it, and test files
// that run at the same time must not be given the same one meanwhile.
const first = LOWEST + (process.pid % SLICES) * SLICE

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
    const port = first + Math.floor(Math.random() * SLICE)
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
