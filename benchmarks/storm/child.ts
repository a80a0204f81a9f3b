import { type ChildProcess, fork } from 'node:child_process'

/** A child process that is given messages and reports results. */
export class StormChild {
  readonly #process: ChildProcess
  readonly #what: string

  constructor(what: string, script: string, args: readonly number[]) {
    this.#what = what
    this.#process = fork(new URL(script, import.meta.url), args.map(String))
  }

  tell(message: object): void {
    this.#process.send(message)
  }

  /** Waits for the next report. @throws Error if the process ends or the time passes first */
  report<T>(ms: number): Promise<T> {
    return new Promise((resolve, reject) => {
      const fail = (why: string) => done(() => reject(new Error(`${this.#what} ${why}`)))
      const timer = setTimeout(fail, ms, `reported nothing in ${ms} ms`)
      const onMessage = (message: unknown) => done(() => resolve(message as T))
      const onExit = () => fail('ended before they reported')
      const done = (settle: () => void) => {
        clearTimeout(timer)
        this.#process.off('message', onMessage).off('exit', onExit)
        settle()
      }
      this.#process.once('message', onMessage).once('exit', onExit)
    })
  }

  /** kill -9. */
  kill(): void {
    this.#process.kill('SIGKILL')
  }
}
