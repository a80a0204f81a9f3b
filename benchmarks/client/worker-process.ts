import { type ChildProcess, spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import {
  type CommandOptions,
  formatCommand,
  parseEvent,
  type Reading,
  type WorkerCommand,
  type WorkerEvent,
} from './worker-lines.ts'

const LINES_KEPT = 30
const END_DEADLINE_MS = 10_000

type EventName = WorkerEvent['event']

interface Waiter {
  readonly events: readonly EventName[]
  readonly done: (event: WorkerEvent | Error) => void
}

/** The process of a worker, which takes commands and reports events. */
export class WorkerProcess {
  readonly #child: ChildProcess
  readonly #waiters = new Set<Waiter>()
  readonly #otherOutput: string[] = []
  readonly #ended: Promise<void>
  #over = false

  constructor(command: string, args: readonly string[]) {
    this.#child = spawn(command, args, { stdio: ['pipe', 'pipe', 'pipe'] })
    this.#child.stdin?.on('error', () => {})
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      if (stream) createInterface({ input: stream }).on('line', line => this.#take(line))
    }
    this.#child.on('error', error => this.#take(error.message))
    this.#ended = new Promise(resolve => {
      this.#child.once('close', () => {
        this.#over = true
        this.#fail('the worker ended')
        resolve()
      })
    })
  }

  get pid(): number {
    return this.#child.pid ?? 0
  }

  get alive(): boolean {
    return !this.#over
  }

  #take(line: string): void {
    const event = parseEvent(line)
    if (event === undefined) {
      this.#otherOutput.push(line)
      if (this.#otherOutput.length > LINES_KEPT) this.#otherOutput.shift()
    } else if (event.event === 'error') this.#fail(event.text)
    else for (const waiter of this.#waiters) if (waiter.events.includes(event.event)) waiter.done(event)
  }

  #fail(reason: string): void {
    const error = new Error([reason, ...this.#otherOutput].join('\n'))
    for (const waiter of this.#waiters) waiter.done(error)
  }

  /** Waits for one of these events; undefined if the time passes first. @throws if the worker fails or ends */
  next(events: readonly EventName[], ms: number): Promise<WorkerEvent | undefined> {
    if (this.#over) return Promise.reject(new Error(['the worker has ended', ...this.#otherOutput].join('\n')))
    return new Promise((resolve, reject) => {
      const settle = (act: () => void) => {
        clearTimeout(timer)
        this.#waiters.delete(waiter)
        act()
      }
      const timer = setTimeout(() => settle(() => resolve(undefined)), ms)
      const waiter: Waiter = {
        events,
        done: event => settle(() => (event instanceof Error ? reject(event) : resolve(event))),
      }
      this.#waiters.add(waiter)
    })
  }

  /** Writes a command without waiting. */
  write(command: WorkerCommand, options?: CommandOptions): void {
    this.#child.stdin?.write(formatCommand(command, options))
  }

  /** Writes a command and waits for its event. @throws if the worker fails or the time passes first */
  async ask(command: WorkerCommand, answers: readonly EventName[], ms: number, options?: CommandOptions) {
    const answer = this.next(answers, ms)
    this.write(command, options)
    const event = await answer
    if (!event) throw new Error([`no answer to ${command} in ${ms} ms`, ...this.#otherOutput].join('\n'))
    return event
  }

  /** What the worker has counted since the last reading. */
  async mark(ms = 5_000): Promise<Reading> {
    return asReading(await this.ask('mark', ['mark'], ms))
  }

  async close(): Promise<void> {
    this.#child.stdin?.end()
    await Promise.race([this.#ended, sleep(END_DEADLINE_MS, undefined, { ref: false })])
    this.#child.kill('SIGKILL')
    await this.#ended
  }
}

/** @throws if the event has no figures */
export function asReading(event: WorkerEvent): Reading {
  if (!('messages' in event)) throw new Error(`the event ${event.event} has no figures`)
  return event
}
