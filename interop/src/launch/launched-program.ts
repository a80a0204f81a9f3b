import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'

/** A test or a script that owns what it starts. */
export interface Owner {
  /** Registers what must run when the owner has finished. */
  after(close: () => Promise<void>): void
}

const OUTPUT_KEPT = 200_000
const TAIL_LINES = 40
const STOP_DEADLINE_MS = 15_000

const running = new Set<LaunchedProgram>()

// An interrupted run must leave no processes behind. Java programs also watch their standard input: see Launched.java.
process.once('exit', () => {
  for (const process of running) process.killNow()
})
for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => process.exit(1))

/** The environment of a program, and its working folder: by default that of this process. */
export interface Surroundings {
  readonly env: NodeJS.ProcessEnv
  readonly cwd?: string
}

/** A child process, with its output and its exit. */
export class LaunchedProgram {
  readonly what: string
  readonly #child: ChildProcess
  readonly #exited: Promise<unknown>
  #output = ''
  #watchers = new Set<() => void>()

  constructor(what: string, command: string, args: readonly string[], surroundings: Surroundings) {
    this.what = what
    this.#child = spawn(command, args, { ...surroundings, stdio: ['pipe', 'pipe', 'pipe'] })
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

  /** Everything that it has printed to standard output and standard error, up to the last 200,000 characters. */
  get output(): string {
    return this.#output
  }

  get hasEnded(): boolean {
    return this.#child.exitCode !== null || this.#child.signalCode !== null || this.#child.pid === undefined
  }

  /** Resolves when it has exited. */
  get over(): Promise<unknown> {
    return this.#exited
  }

  /** Calls the listener with each chunk of standard output. */
  onPrinted(listener: (text: string) => void): void {
    this.#child.stdout?.on('data', listener)
  }

  /** Writes to its standard input. */
  write(text: string): void {
    this.#child.stdin?.write(text)
  }

  /** The last 40 lines that it has printed. */
  tail(): string {
    return this.#output.split('\n').slice(-TAIL_LINES).join('\n')
  }

  /** Waits until the output matches. @throws if the program exits or the time passes first */
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

  /** Waits for its exit and returns the exit code. @throws if the time passes first */
  async ends(ms: number): Promise<number | null> {
    const end = Date.now() + ms
    while (!this.hasEnded) {
      if (Date.now() >= end) throw new Error(`${this.what} did not end in ${ms} ms:\n${this.tail()}`)
      await this.#change(end - Date.now())
    }
    return this.#child.exitCode
  }

  /** Waits for exit code 0. @throws with the last lines of its output for another code or if the time passes first */
  async succeeds(ms: number): Promise<void> {
    const code = await this.ends(ms)
    if (code !== 0) throw new Error(`${this.what} ended with ${code}:\n${this.tail()}`)
  }

  /** kill -9. */
  killNow(): void {
    this.#child.kill('SIGKILL')
  }

  /** kill -9, then waits until the process is gone. */
  async kill(): Promise<void> {
    this.killNow()
    if (!this.hasEnded) await this.#exited
  }

  /** Sends SIGTERM, and SIGKILL 15 s later if the process still runs. */
  async stop(): Promise<void> {
    if (this.hasEnded) return
    this.#child.kill('SIGTERM')
    const force = setTimeout(() => this.killNow(), STOP_DEADLINE_MS)
    await this.#exited
    clearTimeout(force)
  }
}
