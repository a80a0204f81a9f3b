import { mkdir, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { dirname } from 'node:path'

/**
 * Notices when another process writes a file that this one writes: by a file beside it that names the process of its owner, and because
 * the file is no longer the one that was written last. It only tells; it keeps no one away.
 */
export class FileOwner {
  readonly #path: string
  readonly #onShared: (who: string) => void
  /** The file as this process has read or written it last; undefined if there was none. */
  #last: string | undefined
  /** What this process has written into the owner file; undefined if it is not the owner. */
  #claim: string | undefined

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
    const claim = ownerText(process.pid, await startOf(process.pid))
    try {
      await mkdir(dirname(this.#path), { recursive: true })
      await writeFile(this.#ownerPath, claim, { flag: 'wx' })
      this.#claim = claim
    } catch {
      await this.#takeOver(claim)
    }
  }

  async #takeOver(claim: string): Promise<void> {
    const owner = await this.#owner()
    const [pid = 0, start] = owner.split(' ').map(Number)
    if (pid > 0 && pid !== process.pid && (await isRunning(pid, start))) return this.#onShared(`the process ${pid}`)
    // Left by a process that ended without closing.
    this.#claim = await writeFile(this.#ownerPath, claim).then(
      () => claim,
      () => undefined,
    )
  }

  async #owner(): Promise<string> {
    return await readFile(this.#ownerPath, 'utf8').catch(() => '')
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
    // Two processes that take over at the same time both write the owner file.
    if (this.#claim === undefined || (await this.#owner()) !== this.#claim) return
    this.#claim = undefined
    await rm(this.#ownerPath, { force: true }).catch(() => {})
  }

  async #version(): Promise<string | undefined> {
    return await stat(this.#path).then(
      ({ ino, size, mtimeMs }) => `${ino} ${size} ${mtimeMs}`,
      () => undefined,
    )
  }
}

/** `pid start`, or `pid` where the start of a process is not known. */
function ownerText(pid: number, start: number | undefined): string {
  return start === undefined ? String(pid) : `${pid} ${start}`
}

/**
 * True if the process runs. Process ids are used again, soon after a restart of a container: where both starts are known, the process is
 * another one if they differ.
 */
async function isRunning(pid: number, start: number | undefined): Promise<boolean> {
  if (!isAlive(pid)) return false
  const now = start === undefined ? undefined : await startOf(pid)
  return now === undefined || now === start
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

/** When a process started, in ticks since the machine booted. Undefined where there is no `/proc`, as on macOS and Windows. */
async function startOf(pid: number): Promise<number | undefined> {
  const text = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '')
  // The name of the program comes second, in parentheses, and may contain blanks and parentheses. The start is field 22.
  const start = Number(text.slice(text.lastIndexOf(')') + 2).split(' ')[19])
  return Number.isSafeInteger(start) ? start : undefined
}
