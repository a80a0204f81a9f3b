import assert from 'node:assert/strict'
import { test } from 'node:test'
import { describeFailure, fuzzLarge, fuzzOnce, type FuzzTarget, inputOf, problemWith } from './fuzz-target.ts'

function target(read: FuzzTarget['read']): FuzzTarget {
  return {
    name: 'tests',
    samples: [Buffer.from('a sample'), Buffer.from('another')],
    words: ['word', ';'],
    read,
    declares: error => error instanceof RangeError,
  }
}

test('an input depends only on its seed and its number, and samples stay as they are', () => {
  const [one, other] = [target(() => {}), target(() => {})]
  const inputs = Array.from({ length: 200 }, (_, index) => inputOf(one, 7, index).toString('hex'))
  assert.deepEqual(
    inputs.toReversed(),
    Array.from({ length: 200 }, (_, index) => inputOf(other, 7, 199 - index).toString('hex')),
  )
  assert.ok(new Set(inputs).size > 150, 'inputs differ')
  assert.notEqual(inputOf(one, 8, 0).toString('hex'), inputs[0])
  assert.equal(String(one.samples[0]), 'a sample')
})

test('an error that the decoder does not declare is a failure, with all that is needed to repeat it', async () => {
  const broken = target(() => {
    throw new TypeError('undefined is no object')
  })
  const failure = await fuzzOnce(broken, 3, 12)
  assert.ok(failure)
  const text = describeFailure(failure)
  assert.match(text, /undefined is no object/)
  assert.match(text, /--only tests --seed 3 --at 12/)
  assert.match(text, new RegExp(`input: ${inputOf(broken, 3, 12).toString('hex')}$`))
})

test('a declared error is no failure, also of a decoder that returns a promise', async () => {
  const refuse = () => {
    throw new RangeError('too long')
  }
  assert.equal(await fuzzOnce(target(refuse), 1, 1), undefined)
  const later = target(async () => refuse())
  assert.equal(await fuzzOnce(later, 1, 1), undefined)
})

test('an input that takes too much time of the processor is a failure, one that only waits is none', async t => {
  const busy = target(() => {
    const begin = process.cpuUsage()
    while (process.cpuUsage(begin).user < 30_000);
  })
  assert.match((await problemWith(busy, Buffer.of(1), 10)) ?? '', /^it took \d+ ms$/)
  let now = 0
  t.mock.method(performance, 'now', () => now)
  const waiting = target(() => void (now += 5000))
  assert.equal(await problemWith(waiting, Buffer.of(1), 1000), undefined)
})

test('large inputs repeat the words and samples of the target', async () => {
  const sizes: number[] = []
  assert.equal(await fuzzLarge(target(input => void sizes.push(input.length))), undefined)
  assert.equal(sizes.length, 4 * 3)
  assert.ok(sizes.every(size => size > 200_000))
})
