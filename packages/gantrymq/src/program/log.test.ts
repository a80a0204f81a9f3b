import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { test } from 'node:test'
import { openLog } from './log.ts'

/** What a log in this format writes of a name with hostile characters. */
async function written(format: 'text' | 'json', text: string): Promise<string> {
  let out = ''
  const stream = new Writable({
    write(chunk, _, done) {
      out += String(chunk)
      done()
    },
  })
  const log = await openLog({ format, level: 'info' }, stream)
  log.warn({ topic: text, [`key${text}`]: [text], err: new Error(text) }, `about ${text}`)
  return out
}

const hostile = 'a\u001b[2J\u009b\u202eb\u2028\u200b'

// In JSON an error has its message and its stack.
for (const [format, times] of [
  ['text', 5],
  ['json', 6],
] as const) {
  test(`${format} shows the control and direction characters of peers as escapes`, async () => {
    const out = await written(format, hostile)
    // oxlint-disable-next-line no-control-regex -- the pattern is for control characters
    assert.doesNotMatch(out, /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u200b\u2028\u202e]/)
    assert.equal(out.split('a\\u001b[2J\\u009b\\u202eb\\u2028\\u200b').length - 1, times, out)
  })
}

test('a JSON line has the text as it was', async () => {
  const line = JSON.parse(await written('json', `${hostile}\n`)) as { topic: string; msg: string; level: string }
  assert.deepEqual([line.level, line.topic, line.msg], ['warn', `${hostile}\n`, `about ${hostile}\n`])
})
