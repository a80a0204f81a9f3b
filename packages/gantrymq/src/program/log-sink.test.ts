import assert from 'node:assert/strict'
import { Writable } from 'node:stream'
import { test } from 'node:test'
import { setImmediate as turn } from 'node:timers/promises'
import { LogSink } from './log-sink.ts'

/** A stream whose reader reads when it is told to. */
class Pipe extends Writable {
  readonly lines: string[] = []
  #waiting: (() => void) | undefined

  override _write(chunk: Buffer, _: string, done: () => void): void {
    this.#waiting = () => {
      this.lines.push(chunk.toString())
      done()
    }
  }

  /** Reads everything that is or will be written in the meantime. */
  async readAll(): Promise<void> {
    while (this.#waiting !== undefined) {
      const read = this.#waiting
      this.#waiting = undefined
      read()
      await turn()
    }
  }
}

function open(limit = 100) {
  const pipe = new Pipe({ highWaterMark: 16 })
  const sink = new LogSink(pipe, { limit, onDropped: lines => sink.write(`${lines} dropped\n`) })
  return { pipe, sink }
}

test('lines that their reader has not read are kept up to the limit, and further ones are dropped', () => {
  const { pipe, sink } = open()
  for (let i = 0; i < 1000; i++) sink.write(`line ${i % 10}\n`)
  assert.ok(pipe.writableLength <= 100)
  assert.ok(pipe.writableLength > 90)
})

test('a reader that is back gets the lines that were kept, then once how many are missing, then all further ones', async () => {
  const { pipe, sink } = open()
  for (let i = 0; i < 1000; i++) sink.write(`line ${i % 10}\n`)
  await pipe.readAll()
  sink.write('next\n')
  await pipe.readAll()
  const kept = pipe.lines.filter(line => line.startsWith('line'))
  assert.deepEqual(pipe.lines.slice(kept.length), [`${1000 - kept.length} dropped\n`, 'next\n'])
  assert.ok(kept.length >= 14)
})

test('a short line is not written after a gap before the number of dropped lines', async () => {
  const { pipe, sink } = open()
  sink.write(`${'x'.repeat(60)}\n`)
  sink.write(`${'y'.repeat(60)}\n`)
  sink.write('z\n')
  await pipe.readAll()
  assert.deepEqual(pipe.lines.map(line => line[0]), ['x', '2']) // biome-ignore format: one line
})

test('a line longer than the limit is written if its reader is not behind, and so are the next ones', async () => {
  const { pipe, sink } = open()
  for (const line of ['a\n', `${'b'.repeat(200)}\n`]) sink.write(line)
  await pipe.readAll()
  sink.write('c\n')
  await pipe.readAll()
  assert.deepEqual(pipe.lines.map(line => line[0]), ['a', 'b', 'c']) // biome-ignore format: one line
})

test('a reader that is never behind misses nothing', async () => {
  const { pipe, sink } = open()
  for (let i = 0; i < 100; i++) {
    sink.write(`line ${i}\n`)
    await pipe.readAll()
  }
  assert.equal(pipe.lines.length, 100)
})

test('a reader that has gone does not end the program', async () => {
  const { pipe, sink } = open()
  pipe.destroy(new Error('EPIPE'))
  await turn()
  for (let i = 0; i < 1000; i++) sink.write('line\n')
  assert.ok(pipe.writableLength <= 100)
})
