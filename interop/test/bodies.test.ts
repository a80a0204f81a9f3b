import assert from 'node:assert/strict'
import { readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { test } from 'node:test'
import { type Compression, compress, decompress, readMessages } from '@gantrymq/protocol'
import { RELEASES, skipReason } from '../src/launch/apache.ts'
import { startProgram, temporaryFolder } from '../src/launch/launcher.ts'

const skip = await skipReason()
const PROGRAM_DEADLINE_MS = 60_000
const types: readonly Compression[] = ['zlib', 'zstd', 'lz4']

/** Text and random bytes, larger than a block of any compression format. */
function body(): Buffer {
  const lines = Array.from({ length: 20_000 }, (_, index) => `{"order":${index},"price":${(index * 31.7).toFixed(2)}}`)
  const noise = Buffer.alloc(300_000)
  for (let at = 0, state = 1; at < noise.length; at++) {
    state = (Math.imul(state, 1103515245) + 12345) >>> 0
    noise[at] = state >>> 24
  }
  return Buffer.concat([Buffer.from(lines.join('\n')), noise])
}

for (const release of RELEASES) {
  test(`${release} decompresses our bodies, and we decompress its bodies`, { skip }, async t => {
    const folder = await temporaryFolder(t)
    const plain = body()
    await writeFile(join(folder, 'body.txt'), plain)
    for (const type of types) await writeFile(join(folder, `ours-${type}.bin`), compress(plain, type))
    const write = await startProgram(t, release, 'Bodies', ['write', folder])
    await write.succeeds(PROGRAM_DEADLINE_MS)
    const read = await startProgram(t, release, 'Bodies', ['read', folder])
    await read.succeeds(PROGRAM_DEADLINE_MS)
    for (const type of types) {
      assert.ok(read.output.includes(`ours-${type}.bin same`), read.output)
      assert.deepEqual(decompress(await readFile(join(folder, `body-${type}.bin`)), type), plain, type)
    }
    const stored = readMessages(await readFile(join(folder, 'inner-batch.bin')), ({ reason }) => assert.fail(reason))
    assert.deepEqual(
      stored.map(({ queueOffset, body: text }) => [queueOffset, String(text)]),
      [
        [40, 'Hi'],
        [41, 'there'],
      ],
    )
  })
}
