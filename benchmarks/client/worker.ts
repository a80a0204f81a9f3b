// The common part of the workers on Node: commands, and the loops around a client. Worker.java is the same in Java.
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { Meter } from './meter.ts'
import { formatEvent, parseCommand, type WorkerEvent } from './worker-lines.ts'

/** Something that consumes until it is closed. */
export interface BenchConsumer {
  close(): Promise<unknown>
}

/** The part of a client that the commands need. */
export interface BenchClient {
  send(topic: string, body: Buffer): Promise<unknown>
  /** Consumes a topic from its start as a new group. */
  consume(topic: string, group: string, onMessage: (body: Buffer) => void): Promise<BenchConsumer>
  close(): Promise<unknown>
}

interface Work {
  stop(): Promise<unknown>
}

type Options = Readonly<Record<string, string>>

const PAUSE_AFTER_FAILURE_MS = 100

const meter = new Meter()

function report(event: WorkerEvent): void {
  process.stdout.write(formatEvent(event))
}

function text(options: Options, name: string): string {
  const value = options[name]
  if (value === undefined) throw new Error(`${name} is missing`)
  return value
}

function number(options: Options, name: string): number {
  return Number(text(options, name))
}

function bodyOf(options: Options): Buffer {
  return Buffer.alloc(number(options, 'bytes'), 'x')
}

function failed(error: unknown): void {
  meter.fail()
  console.error(error)
}

async function startSending(client: BenchClient, options: Options): Promise<Work> {
  const [topic, body] = [text(options, 'topic'), bodyOf(options)]
  const state = { running: true }
  const sendUntilStopped = async () => {
    while (state.running) {
      const begin = performance.now()
      try {
        await client.send(topic, body)
        meter.add(performance.now() - begin)
      } catch (error) {
        failed(error)
        await sleep(PAUSE_AFTER_FAILURE_MS)
      }
    }
  }
  const loops = Array.from({ length: number(options, 'inFlight') }, sendUntilStopped)
  report({ event: 'running' })
  return {
    stop() {
      state.running = false
      return Promise.all(loops)
    },
  }
}

async function startDraining(client: BenchClient, options: Options): Promise<Work> {
  const [skip, all] = [number(options, 'skip'), number(options, 'messages')]
  let seen = 0
  const consumer = await client.consume(text(options, 'topic'), text(options, 'group'), () => {
    meter.count()
    seen++
    if (seen === skip) report(meter.read('begun'))
    if (seen === all) report(meter.read('done'))
  })
  return { stop: () => consumer.close() }
}

async function startDelaying(client: BenchClient, options: Options): Promise<Work> {
  const [topic, padding] = [text(options, 'topic'), bodyOf(options)]
  let running = false
  const consumer = await client.consume(topic, text(options, 'group'), body => {
    meter.add(performance.now() - body.readDoubleBE(0))
    if (!running) report({ event: 'running' })
    running = true
  })
  const [begin, perMs] = [performance.now(), number(options, 'perSecond') / 1000]
  let sent = 0
  const timer = setInterval(() => {
    // Sends all messages that are due, so that a late timer does not lower the rate. Java's executor does the same.
    for (const due = (performance.now() - begin) * perMs; sent < due; sent++) {
      const body = Buffer.from(padding)
      body.writeDoubleBE(performance.now(), 0)
      client.send(topic, body).catch(failed)
    }
  }, 1 / perMs)
  return {
    stop() {
      clearInterval(timer)
      return consumer.close()
    },
  }
}

const works: Readonly<Record<string, (client: BenchClient, options: Options) => Promise<Work>>> = {
  send: startSending,
  drain: startDraining,
  delay: startDelaying,
}

async function runCommands(client: BenchClient): Promise<void> {
  let work: Work | undefined
  for await (const line of createInterface({ input: process.stdin })) {
    const { command, options } = parseCommand(line)
    if (command === 'mark') report(meter.read('mark'))
    else if (command === 'stop') {
      await work?.stop()
      work = undefined
      report({ event: 'stopped' })
    } else {
      const start = works[command]
      if (!start) throw new Error(`unknown command: ${line}`)
      work = await start(client, options)
    }
  }
  await work?.stop()
}

/** Runs the commands of standard input until its end. */
export async function runWorker(start: (nameServers: string) => Promise<BenchClient>): Promise<void> {
  try {
    const client = await start(process.argv[2] ?? '')
    await runCommands(client)
    await client.close()
  } catch (error) {
    console.error(error)
    report({ event: 'error', text: String(error) })
    process.exitCode = 1
  }
  // Other tests check that a closed client lets the process end; a benchmark must end in any case.
  setTimeout(() => process.exit(), 1000).unref()
}
