import { copyFile, mkdir, open, readFile, rename } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import type { Logger } from '@gantrymq/remoting'
import { ClientError } from '../../errors.ts'
import { type MessageQueue, queueKey } from '../../message/message.ts'
import { readOffsetFile, writeOffsetFile } from './offset-file.ts'
import { OffsetNotes, type OffsetStore } from './broker-offsets.ts'
import { NO_STORED_OFFSET } from './start-offset.ts'

interface Stored {
  readonly queue: MessageQueue
  readonly offset: number
}

export interface LocalOffsetsOptions {
  /** Where Apache's clients have them too. Default `~/.rocketmq_offsets`. */
  readonly folder: string | undefined
  readonly clientId: string
  readonly group: string
  readonly log: Logger
}

/** Offsets in a file of this machine, for groups whose members all get everything. Apache's LocalFileOffsetStore. */
export class LocalOffsets extends OffsetNotes implements OffsetStore {
  readonly path: string
  readonly #log: Logger
  readonly #stored = new Map<string, Stored>()
  #isWritten = true
  #writing: Promise<void> = Promise.resolve()

  constructor({ folder, clientId, group, log }: LocalOffsetsOptions) {
    super()
    this.path = join(folder ?? join(homedir(), '.rocketmq_offsets'), clientId, group, 'offsets.json')
    this.#log = log
  }

  /** @throws ClientError BAD_BODY if neither the file nor its copy can be read: beginning anew is for an operator to decide */
  async load(): Promise<void> {
    for (const each of await this.#read()) this.#stored.set(queueKey(each.queue), each)
  }

  async #read(): Promise<readonly Stored[]> {
    const first = await readStored(this.path)
    if (Array.isArray(first)) return first
    const copy = `${this.path}.bak`
    const second = await readStored(copy)
    if (first instanceof Error) this.#log.warn({ path: this.path, error: first.message }, 'file of offsets is bad')
    if (Array.isArray(second)) return second
    const bad = second ?? first
    if (bad === undefined) return []
    const text = `the offsets of this group cannot be read from ${this.path} or ${copy}: ${bad.message}; put a good file there, or remove both to begin anew`
    throw new ClientError('BAD_BODY', text, { cause: bad })
  }

  async stored(queue: MessageQueue): Promise<number> {
    return this.#stored.get(queueKey(queue))?.offset ?? NO_STORED_OFFSET
  }

  /** What other queues have in the file stays there. */
  persist(queues: Iterable<MessageQueue>): Promise<void> {
    for (const queue of queues) this.#note(queue)
    if (this.#isWritten) return this.#writing
    this.#isWritten = true
    return (this.#writing = this.#writing.then(() => this.#write()))
  }

  #note(queue: MessageQueue): void {
    const offset = this.peek(queue)
    const key = queueKey(queue)
    if (offset < 0 || this.#stored.get(key)?.offset === offset) return
    this.#stored.set(key, { queue, offset })
    this.#isWritten = false
  }

  async #write(): Promise<void> {
    try {
      await replace(this.path, writeOffsetFile(this.#stored.values()))
    } catch (error) {
      this.#isWritten = false
      this.#log.error({ path: this.path, error: String(error) }, 'offsets not kept')
    }
  }
}

/** Undefined if there is none, or an empty one; the error if it cannot be read. */
async function readStored(path: string): Promise<Stored[] | Error | undefined> {
  try {
    const bytes = await readFile(path)
    return bytes.length === 0 ? undefined : readOffsetFile(bytes)
  } catch (error) {
    if (!(error instanceof Error)) throw error
    return 'code' in error && error.code === 'ENOENT' ? undefined : error
  }
}

/** Writes a file so that at any moment either the old or the new one is there, whole; the old one is kept as `.bak`. */
async function replace(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  const fresh = `${path}.tmp`
  await writeThrough(fresh, text)
  await copyFile(path, `${path}.bak`).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
  })
  await rename(fresh, path)
  await syncFolder(dirname(path))
}

async function writeThrough(path: string, text: string): Promise<void> {
  const file = await open(path, 'w')
  try {
    await file.writeFile(text)
    await file.sync()
  } finally {
    await file.close()
  }
}

// So that the new name outlives a power cut too. Windows cannot, and needs not.
async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
