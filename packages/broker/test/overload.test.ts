import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ResponseError } from '@gantrymq/remoting'
import { brokerInMemory } from './broker-in-memory.ts'
import { messagesIn, sendMessage, settle } from './requests.ts'
import { StoppableDisk } from './stoppable-disk.ts'

test('while the disk is too slow sends wait, and are refused after a moment; other requests are answered', async t => {
  const disk = new StoppableDisk()
  const mq = await brokerInMemory(t, { disk })
  await sendMessage(mq, {}, 'early')
  const goOn = disk.stop()
  t.after(goOn)
  const body = 'x'.repeat(4_000_000)
  const answers: string[] = []
  const send = async (): Promise<void> => {
    const answer = sendMessage(mq, { queueId: 2 }, body).then(() => 'stored', (error: unknown) => error instanceof ResponseError ? error.remark ?? '' : String(error)) // biome-ignore format: one thought
    void answer.then(text => answers.push(text))
    await settle()
  }

  // 64 MiB may be written and not yet synced.
  for (let n = 0; n < 18; n++) await send()
  assert.deepEqual(new Set(answers), new Set(['stored']))
  const stored = answers.length
  assert.ok(stored < 18)
  assert.equal((await messagesIn(mq, 'Orders', 1)).length, 1)
  mq.clock.advance(200)
  await settle()
  const remark =
    /^\[TIMEOUT_CLEAN_QUEUE\]broker busy, start flow control for a while, period in queue: 200ms, size of queue: \d$/
  for (const text of answers.slice(stored)) assert.match(text, remark)
  assert.equal(answers.length, 18)

  await send()
  goOn()
  await settle()
  mq.clock.advance(1000)
  await settle()
  assert.equal(answers.at(-1), 'stored')
})
