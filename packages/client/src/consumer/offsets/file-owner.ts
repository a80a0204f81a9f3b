import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * Notices when another process writes a file that this one writes: by a file beside it with the process id of its owner, and because the
 * file is no longer the one that was written last. It only tells; it keeps no one away.
 */
export class FileOwner {
  readonly #path: string
  readonly #onShared: (who: string) => void
  /** The file as this process has read or written it last; undefined if there was none. */
  #last: string | undefined
  #isOwn = false

  /** @param onShared called with the other process. */
  constructor(path: string, onShared: (who: string) => void) {
    this.#path = path
    this.#onShared = onShared
  }

  get #ownerPath(): string {
    return `${this.#path}.owner`
  }

  /** Claims the file for this process. Never rejects: without rights to write, the first write fails and tells. */
  async claim(): Promise<void> {
    this.#last = await this.#version()
    try {
      await mkdir(dirname(this.#path), { recursive: true })
      await writeFile(this.#ownerPath, String(process.pid), { flag: 'wx' })
      this.#isOwn = true
    } catch {
      await this.#takeOver()
    }
  }

  async #takeOver(): Promise<void> {
    const pid = Number(await readFile(this.#ownerPath, 'utf8').catch(() => ''))
    if (pid > 0 && pid !== process.pid && isAlive(pid)) return this.#onShared(`the process ${pid}`)
    // Left by a process that ended without closing.
    this.#isOwn = await writeFile(this.#ownerPath, String(process.pid)).then(
      () => true,
      () => false,
    )
  }

  async beforeWrite(): Promise<void> {
    const now = await this.#version()
    if (now !== this.#last) this.#onShared('another process')
  }

  async afterWrite(): Promise<void> {
    this.#last = await this.#version()
  }

  /** Never rejects. */
  async release(): Promise<void> {
    if (this.#isOwn) await rm(this.#ownerPath, { force: true }).catch(() => {})
  }

  async #version(): Promise<string | undefined> {
    return await stat(this.#path).then(
      ({ ino, size, mtimeMs }) => `${ino} ${size} ${mtimeMs}`,
      () => undefined,
    )
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0)
    return true
  } catch (error) {
    // It runs under another user.
    return (error as NodeJS.ErrnoException).code === 'EPERM'
  }
}
