import type { TableFiles } from '@gantrymq/daemon'
import { consumerOffsetsBody, type QueueOffsets } from '@gantrymq/protocol'
import type { Clock, Logger } from '@gantrymq/remoting'
import { ConfigFile } from '../files/config-file.ts'
import { OffsetTable } from './offset-table.ts'

export interface OffsetFileOptions {
  /** consumerOffset.json. */
  readonly path: string
  readonly files: TableFiles
  readonly clock: Clock
  readonly log: Logger
}

/** The file of the committed offsets, which is written every few seconds: after a crash, groups receive a few messages again. */
export class OffsetFile {
  readonly table: OffsetTable
  readonly #file: ConfigFile<ReadonlyMap<string, QueueOffsets>>
  /** `changes` of the table when it was stored last. */
  #stored = 0

  private constructor({ path, files, log }: OffsetFileOptions) {
    const table = new OffsetTable()
    this.table = table
    this.#file = new ConfigFile({
      path,
      files,
      what: 'consumer offsets',
      codec: consumerOffsetsBody,
      entriesOf: offsets => offsets.size,
      content: () => table.all,
      log,
    })
  }

  /** Loads the file. @throws Error if the file can neither be read nor put aside */
  static async open(options: OffsetFileOptions): Promise<OffsetFile> {
    const file = new OffsetFile(options)
    const loaded = await file.#file.load(options.clock.now())
    if (loaded !== undefined) file.table.load(loaded)
    return file
  }

  /** Stores the table if it has changed. Never rejects: the log has the reason, and the next call tries again. */
  async save(): Promise<void> {
    const { changes } = this.table
    if (changes === this.#stored) return
    await this.#file.save().then(
      () => (this.#stored = changes),
      () => {},
    )
  }

  /** Stores the last changes. */
  async close(): Promise<void> {
    await this.#file.close()
    await this.save()
  }
}
