import assert from 'node:assert/strict'
import { RemotingError } from '@gantrymq/remoting'
import type { FuzzTarget } from '@gantrymq/testkit'
import { readOffsetFile, writeOffsetFile } from '../src/consumer/offsets/offset-file.ts'
import { ClientError } from '../src/errors.ts'
import { decodeEntries, encodeEntry } from '../src/trace/entries.ts'

function readOffsets(input: Buffer): void {
  const written = writeOffsetFile(readOffsetFile(input))
  assert.equal(writeOffsetFile(readOffsetFile(Buffer.from(written))), written)
}

function readTrace(input: Buffer): void {
  const written = decodeEntries(input.toString()).map(encodeEntry)
  assert.deepEqual(decodeEntries(written.join('')).map(encodeEntry), written)
}

const text = (lines: readonly string[]) => lines.map(line => Buffer.from(line))

/** Files and messages that other programs have written. The rest of what a client reads, `protocol` and `remoting` decode. */
export const targets: readonly FuzzTarget[] = [
  {
    name: 'offset-files',
    samples: [
      ...text([
        '{"offsetTable":{{"brokerName":"b","queueId":1,"topic":"T"}:42,"{\\"topic\\":\\"T\\",\\"brokerName\\":\\"b\\"}":1}}',
      ]),
      Buffer.from(writeOffsetFile([{ queue: { topic: 'T', brokerName: 'b', queueId: 0 }, offset: 7 }])),
    ],
    words: ['{', '}', '"', ':', ',', 'null', '-1', '9007199254740993', '"topic":'],
    share: 0.5,
    read: readOffsets,
    declares: error => (error instanceof ClientError || error instanceof RemotingError) && error.code === 'BAD_BODY',
  },
  {
    name: 'trace-messages',
    samples: text([
      'Pub\u00011700000000000\u0001R\u0001g\u0001T\u0001id\u0001tag\u0001key\u0001h:1\u00015\u00013\u00010\u0001off\u0001true\u0002',
      'SubBefore\u00011\u0001null\u0001g\u0001r\u0001id\u00010\u0001k\u0002SubAfter\u0001r\u0001id\u00012\u0001true\u0001k\u00010\u0002',
    ]),
    words: ['\u0001', '\u0002', 'null', 'EndTransaction', 'Recall', 'true', '__proto__'],
    share: 0.5,
    read: readTrace,
    declares: () => false,
  },
]
