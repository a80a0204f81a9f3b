import { createServer } from 'node:net'

// Below the range from which operating systems take ports for outgoing connections.
const LOWEST = 12_000
const SLICES = 50
const SLICE = 400
const TRIES = 200

// Each process has its own slice: a Java server opens its port seconds after it was chosen, and test files that run at the
// same time must not choose the same port in between.
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
  throw new Error(`found no free port between ${first} and ${first + SLICE}`)
}

/** Finds a port that is free now. This process never returns the same port twice. */
export const freePort = () => find([0])

/** Finds a port whose neighbours are free too: a broker also opens port - 2 (fast channel) and port + 1 (replication). */
export const freeBrokerPort = () => find([-2, -1, 0, 1])
