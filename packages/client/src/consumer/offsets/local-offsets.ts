import { copyFile, mkdir, open, readFile, rename } from 'node:fs/promises'
import { homedir } from 'node:os'
import { dirname, join } from 'node:path'
import type { QueueOffset } from '@gantrymq/protocol'
import type { Logger } from '@gantrymq/remoting'
import { ClientError } from '../../errors.ts'
import { type MessageQueue, queueKey } from '../../message/message.ts'
import { FileOwner } from './file-owner.ts'
import { readOffsetFile, writeOffsetFile } from './offset-file.ts'
import { CachedOffsets, type OffsetStore } from './offset-store.ts'
import { NO_STORED_OFFSET } from './start-offset.ts'

export interface LocalOffsetsOptions {
  /** Default `~/.rocketmq_offsets`, as for Apache's clients. */
  readonly folder: string | undefined
  readonly clientId: string
  readonly group: string
  readonly log: Logger
  /** Called with what was noticed when another process writes the same file. */
  readonly onShared?: ((message: string) => void) | undefined
}

/** Offsets in a local file, for broadcast groups, whose members all receive every message. Apache's LocalFileOffsetStore. */
export class LocalOffsets extends CachedOffsets implements OffsetStore {
  readonly path: string
  readonly #log: Logger
  readonly #owner: FileOwner
  readonly #stored = new Map<string, QueueOffset>()
  #isWritten = true
  #writing: Promise<void> = Promise.resolve()

  constructor({ folder, clientId, group, log, onShared }: LocalOffsetsOptions) {
    super()
    this.path = join(folder ?? join(homedir(), '.rocketmq_offsets'), clientId, group, 'offsets.json')
    this.#log = log
    this.#owner = new FileOwner(this.path, who =>
      onShared?.(
        `${who} writes the offset file ${this.path} of this broadcast consumer, too: the last writer wins, and messages are lost after a restart. Give each process its own instanceName or offsetsFolder`,
      ),
    )
  }

  /** @throws ClientError BAD_BODY if neither the file nor its copy can be read: starting over is the operator's decision */
  async load(): Promise<void> {
    for (const each of await this.#read()) this.#stored.set(queueKey(each.queue), each)
    await this.#owner.claim()
  }

  async #read(): Promise<readonly QueueOffset[]> {
    const first = await readStored(this.path)
    if (Array.isArray(first)) return first
    const copy = `${this.path}.bak`
    const second = await readStored(copy)
    if (first instanceof Error)
      this.#log.warn({ path: this.path, error: first.message }, 'cannot read the offset file: trying its copy')
    if (Array.isArray(second)) return second
    const bad = second ?? first
    if (bad === undefined) return []
    const text = `cannot read the group's offsets from ${this.path} or ${copy}: ${bad.message}; restore a good file, or delete both to start over`
    throw new ClientError('BAD_BODY', text, { cause: bad })
  }

  async stored(queue: MessageQueue): Promise<number> {
    return this.#stored.get(queueKey(queue))?.offset ?? NO_STORED_OFFSET
  }

  /** The file keeps the offsets of all other queues. */
  persist(queues: Iterable<MessageQueue>): Promise<void> {
    for (const queue of queues) this.#collect(queue)
    if (this.#isWritten) return this.#writing
    this.#isWritten = true
    return (this.#writing = this.#writing.then(() => this.#write()))
  }

  /** Gives the file up, at the end. Never rejects. */
  async close(): Promise<void> {
    await this.#writing
    await this.#owner.release()
  }

  #collect(queue: MessageQueue): void {
    const offset = this.peek(queue)
    const key = queueKey(queue)
    if (offset < 0 || this.#stored.get(key)?.offset === offset) return
    this.#stored.set(key, { queue, offset })
    this.#isWritten = false
  }

  async #write(): Promise<void> {
    try {
      await this.#owner.beforeWrite()
      await replace(this.path, writeOffsetFile(this.#stored.values()))
      await this.#owner.afterWrite()
    } catch (error) {
      this.#isWritten = false
      this.#log.error({ path: this.path, error: String(error) }, 'cannot write the offset file')
    }
  }
}

/** The offsets of a file: undefined if it is missing or empty, the error if it cannot be read. */
async function readStored(path: string): Promise<QueueOffset[] | Error | undefined> {
  try {
    const bytes = await readFile(path)
    return bytes.length === 0 ? undefined : readOffsetFile(bytes)
  } catch (error) {
    if (!(error instanceof Error)) throw error
    return 'code' in error && error.code === 'ENOENT' ? undefined : error
  }
}

/** Replaces a file so that a complete one, old or new, exists at any moment. The old one is kept as `.bak`. */
async function replace(path: string, text: string): Promise<void> {
  await mkdir(dirname(path), { recursive: true })
  const temporary = `${path}.tmp`
  await writeThrough(temporary, text)
  await copyFile(path, `${path}.bak`).catch((error: NodeJS.ErrnoException) => {
    if (error.code !== 'ENOENT') throw error
  })
  await rename(temporary, path)
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

// Makes the rename survive a power cut. Windows has no such call and does not need it.
async function syncFolder(path: string): Promise<void> {
  if (process.platform === 'win32') return
  const folder = await open(path, 'r')
  try {
    await folder.sync()
  } finally {
    await folder.close()
  }
}
