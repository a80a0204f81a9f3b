import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'

/** Whoever runs something and says when it is over: a test, or a script. */
export interface Owner {
  after(close: () => Promise<void>): void
}

const OUTPUT_KEPT = 200_000
const TAIL_LINES = 40
const STOP_DEADLINE_MS = 15_000

const running = new Set<Launched>()

// A run that is interrupted must leave nothing behind. (Java also watches its standard input, see Launched.java.)
process.once('exit', () => {
  for (const process of running) process.killNow()
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))

/** A program that was started: its output, its end. */
export class Launched {
  readonly what: string
  readonly #child: ChildProcess
  readonly #exited: Promise<unknown>
  #output = ''
  #watchers = new Set<() => void>()

  constructor(what: string, command: string, args: readonly string[], environment: NodeJS.ProcessEnv) {
    this.what = what
    this.#child = spawn(command, args, { env: environment, stdio: ['pipe', 'pipe', 'pipe'] })
    this.#exited = once(this.#child, 'exit').catch((error: unknown) => this.#keep(String(error)))
    this.#child.stdin?.on('error', () => {})
    for (const stream of [this.#child.stdout, this.#child.stderr]) {
      stream?.setEncoding('utf8').on('data', (text: string) => this.#keep(text))
    }
    running.add(this)
    void this.#exited.then(() => {
      running.delete(this)
      this.#tellWatchers()
    })
  }

  #keep(text: string): void {
    this.#output = (this.#output + text).slice(-OUTPUT_KEPT)
    this.#tellWatchers()
  }

  #tellWatchers(): void {
    for (const watcher of this.#watchers) watcher()
  }

  get pid(): number | undefined {
    return this.#child.pid
  }

  /** What it has printed, errors included. */
  get output(): string {
    return this.#output
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null || this.#child.pid === undefined
  }

  /** Resolves when it has ended. */
  get over(): Promise<unknown> {
    return this.#exited
  }

  /** Hands on what it prints on standard output, as it comes. */
  onPrinted(listener: (text: string) => void): void {
    this.#child.stdout?.on('data', listener)
  }

  /** Writes to its standard input. */
  write(text: string): void {
    this.#child.stdin?.write(text)
  }

  /** The last lines it has printed. */
  tail(): string {
    return this.#output.split('\n').slice(-TAIL_LINES).join('\n')
  }

  /** Waits until the output matches. @throws if the program ends, or the time passes, before. */
  async prints(pattern: RegExp, ms: number): Promise<RegExpExecArray> {
    const end = Date.now() + ms
    for (;;) {
      const found = pattern.exec(this.#output)
      if (found) return found
      if (this.hasEnded) throw new Error(`${this.what} ended before it printed ${pattern}:\n${this.tail()}`)
      if (Date.now() >= end) throw new Error(`${this.what} did not print ${pattern} in ${ms} ms:\n${this.tail()}`)
      await this.#change(end - Date.now())
    }
  }

  #change(ms: number): Promise<void> {
    return new Promise(resolve => {
      const done = () => {
        clearTimeout(timer)
        this.#watchers.delete(done)
        resolve()
      }
      const timer = setTimeout(done, ms)
      this.#watchers.add(done)
    })
  }

  /** Waits for its end and gives the exit code. @throws if the time passes before. */
  async ends(ms: number): Promise<number | null> {
    const end = Date.now() + ms
    while (!this.hasEnded) {
      if (Date.now() >= end) throw new Error(`${this.what} did not end in ${ms} ms:\n${this.tail()}`)
      await this.#change(end - Date.now())
    }
    return this.#child.exitCode
  }

  /** Waits for its end. @throws with its last lines if it ends badly or the time passes before. */
  async succeeds(ms: number): Promise<void> {
    const code = await this.ends(ms)
    if (code !== 0) throw new Error(`${this.what} ended with ${code}:\n${this.tail()}`)
  }

  /** kill -9. */
  killNow(): void {
    this.#child.kill('SIGKILL')
  }

  /** kill -9, and waits until the system has buried it. */
  async kill(): Promise<void> {
    this.killNow()
    if (!this.hasEnded) await this.#exited
  }

  /** Asks it to end; kills it if it does not within 15 s. */
  async stop(): Promise<void> {
    if (this.hasEnded) return
    this.#child.kill('SIGTERM')
    const force = setTimeout(() => this.killNow(), STOP_DEADLINE_MS)
    await this.#exited
    clearTimeout(force)
  }
}
