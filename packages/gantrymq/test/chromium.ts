// A real browser for tests, driven over the pipe of its DevTools protocol.
import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, join } from 'node:path'
import type { Readable, Writable } from 'node:stream'

const NAMES = ['chromium', 'chromium-browser', 'chromium-headless-shell', 'google-chrome', 'google-chrome-stable']
const CALL_MS = 15_000

/** The path of a Chromium or Chrome: `CHROME_PATH`, or one on the PATH. */
export function findChromium(env: NodeJS.ProcessEnv = process.env): string | undefined {
  const folders = env['PATH']?.split(delimiter) ?? []
  const candidates = NAMES.flatMap(name => folders.map(folder => join(folder, name)))
  return env['CHROME_PATH'] ?? candidates.find(isExecutable)
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK)
    return true
  } catch {
    return false
  }
}

interface Reply {
  readonly id?: number
  readonly method?: string
  readonly params?: unknown
  readonly result?: unknown
  readonly error?: { readonly message: string }
}

interface Call {
  readonly resolve: (result: never) => void
  readonly reject: (error: Error) => void
}

/** A browser without windows and with one page. */
export class Chromium {
  readonly #process: ChildProcess
  readonly #profile: string
  readonly #commands: Writable
  readonly #calls = new Map<number, Call>()
  readonly #requests: string[] = []
  readonly #complaints: string[] = []
  #session: string | undefined
  #lastId = 0
  #closing: Promise<void> | undefined

  /** @param hosts Host names that mean this machine. */
  static async start(path: string, hosts: readonly string[] = []): Promise<Chromium> {
    const browser = new Chromium(path, hosts)
    try {
      await browser.#openPage()
    } catch (error) {
      await browser.close()
      throw error
    }
    return browser
  }

  private constructor(path: string, hosts: readonly string[]) {
    this.#profile = mkdtempSync(join(tmpdir(), 'gantry-browser-'))
    const options = [
      '--headless',
      '--no-sandbox',
      '--disable-gpu',
      '--disable-dev-shm-usage',
      '--no-first-run',
      '--remote-debugging-pipe',
      `--user-data-dir=${this.#profile}`,
      `--host-resolver-rules=${hosts.map(host => `MAP ${host} 127.0.0.1`).join(',')}`,
    ]
    this.#process = spawn(path, options, { stdio: ['ignore', 'ignore', 'ignore', 'pipe', 'pipe'] })
    this.#process.once('error', error => this.#fail(error))
    this.#process.once('exit', code => this.#fail(new Error(`the browser ended with ${code}`)))
    this.#commands = this.#process.stdio[3] as Writable
    this.#commands.on('error', error => this.#fail(error))
    this.#read(this.#process.stdio[4] as Readable)
  }

  /** Addresses that the page has asked for. */
  get requests(): readonly string[] {
    return this.#requests
  }

  /** Exceptions, and what the browser refused or wrote to the console. */
  get complaints(): readonly string[] {
    return this.#complaints
  }

  async open(url: string): Promise<void> {
    await this.#call('Page.navigate', { url })
  }

  /** The value of an expression in the page. A promise is awaited. */
  async evaluate<T>(expression: string): Promise<T> {
    const given = { expression, awaitPromise: true, returnByValue: true }
    interface Evaluated {
      readonly result: { readonly value: T }
      readonly exceptionDetails?: { readonly text: string; readonly exception?: { readonly description?: string } }
    }
    const { result, exceptionDetails: failure } = await this.#call<Evaluated>('Runtime.evaluate', given)
    if (failure) throw new Error(failure.exception?.description ?? failure.text)
    return result.value
  }

  /** Waits until the visible text of the page matches. @returns the text. */
  async waitForText(pattern: RegExp): Promise<string> {
    const deadline = Date.now() + CALL_MS
    for (;;) {
      const text = await this.evaluate<string>(
        'new Promise(resolve => setTimeout(() => resolve(document.body?.innerText ?? ""), 20))',
      ).catch(() => '')
      if (pattern.test(text)) return text
      if (Date.now() > deadline) throw new Error(`the page does not show ${pattern}, but:\n${text}`)
    }
  }

  async type(text: string): Promise<void> {
    await this.#call('Input.insertText', { text })
  }

  /** Presses a key: `/`, `Tab` or `Enter`. */
  async press(key: string): Promise<void> {
    const text = key === 'Enter' ? '\r' : key.length === 1 ? key : undefined
    const code = { Enter: 13, Tab: 9 }[key] ?? key.codePointAt(0)
    const given = { key, ...(text !== undefined && { text }), windowsVirtualKeyCode: code }
    await this.#call('Input.dispatchKeyEvent', { type: 'keyDown', ...given })
    await this.#call('Input.dispatchKeyEvent', { type: 'keyUp', ...given })
  }

  async prefer(scheme: 'light' | 'dark'): Promise<void> {
    await this.#call('Emulation.setEmulatedMedia', { features: [{ name: 'prefers-color-scheme', value: scheme }] })
  }

  /** A picture of the page as PNG. */
  async picture(): Promise<Buffer> {
    const { data } = await this.#call<{ data: string }>('Page.captureScreenshot', { format: 'png' })
    return Buffer.from(data, 'base64')
  }

  close(): Promise<void> {
    return (this.#closing ??= this.#shutDown())
  }

  async #shutDown(): Promise<void> {
    const { exitCode, signalCode, pid } = this.#process
    if (pid !== undefined && exitCode === null && signalCode === null) {
      const ended = once(this.#process, 'exit')
      this.#process.kill('SIGKILL')
      await ended
    }
    for (const stream of this.#process.stdio) stream?.destroy()
    rmSync(this.#profile, { recursive: true, force: true, maxRetries: 5 })
  }

  async #openPage(): Promise<void> {
    const { targetId } = await this.#call<{ targetId: string }>('Target.createTarget', { url: 'about:blank' })
    const attach = { targetId, flatten: true }
    this.#session = (await this.#call<{ sessionId: string }>('Target.attachToTarget', attach)).sessionId
    for (const domain of ['Page', 'Runtime', 'Network', 'Log']) await this.#call(`${domain}.enable`, {})
  }

  #call<T>(method: string, params: object): Promise<T> {
    const id = ++this.#lastId
    const { promise, resolve, reject } = Promise.withResolvers<T>()
    const timer = setTimeout(() => reject(new Error(`the browser did not answer ${method}`)), CALL_MS)
    this.#calls.set(id, { resolve, reject })
    this.#commands.write(`${JSON.stringify({ id, method, params, sessionId: this.#session })}\0`)
    return promise.finally(() => {
      clearTimeout(timer)
      this.#calls.delete(id)
    })
  }

  #read(stream: Readable): void {
    let rest = ''
    stream.setEncoding('utf8').on('data', (chunk: string) => {
      const messages = (rest + chunk).split('\0')
      rest = messages.pop() ?? ''
      for (const message of messages) this.#take(JSON.parse(message) as Reply)
    })
  }

  #take({ id, method, params, result, error }: Reply): void {
    if (method !== undefined) this.#note(method, params)
    const call = id === undefined ? undefined : this.#calls.get(id)
    if (error) call?.reject(new Error(error.message))
    else call?.resolve(result as never)
  }

  #note(method: string, params: unknown): void {
    if (method === 'Network.requestWillBeSent') {
      this.#requests.push((params as { request: { url: string } }).request.url)
    } else if (/^(Runtime\.(exceptionThrown|consoleAPICalled)|Log\.entryAdded)$/.test(method)) {
      this.#complaints.push(JSON.stringify(params))
    }
  }

  #fail(error: Error): void {
    for (const { reject } of this.#calls.values()) reject(error)
  }
}
