import { finish } from '@gantrymq/remoting'
import type { KvConfig } from '../src/kv/kv-config.ts'
import { writeKvConfig } from '../src/kv/kv-config-file.ts'

/** The text of the KV configuration's file. */
export function kvText(config: KvConfig): string {
  return Buffer.concat(finish(writeKvConfig(config))).toString()
}
