import assert from 'node:assert/strict'
import { readdir } from 'node:fs/promises'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { skipReason } from '../src/launch/apache.ts'
import { type Maker, startBrokerOf } from '../src/launch/brokers.ts'
import type { Owner } from '../src/launch/launched-program.ts'
import type { LaunchedServer } from '../src/launch/launcher.ts'
import { startOurProgram } from '../src/launch/our-name-server.ts'
import { badInputs, frames, goodSend, QUEUES, TOPIC } from '../src/requests/bad-input.ts'
import { ask, connectRaw, type RawConnection } from '../src/wire/raw-connection.ts'
import { parseFastjson } from '../src/wire/raw-frame.ts'

const makers = ['ours', '4.9.7', '5.5.0'] as const satisfies readonly Maker[]
type Name = (typeof makers)[number]

/** The codes of answers that are no refusals: SUCCESS, PULL_NOT_FOUND and PULL_OFFSET_MOVED. */
const NO_REFUSALS: readonly number[] = [0, 19, 21]

/** Every broker gets the same bad input; ours answers with the code of one of Apache's lines, or with a better one. */
describe('bad input at our broker and at Apache', { skip: await skipReason() }, () => {
  const closes: (() => Promise<void>)[] = []
  const brokers = new Map<Name, LaunchedServer>()
  /** Connections of clients that behave well, opened before. */
  const others = new Map<Name, RawConnection>()
  const portOf = (name: Name) => brokers.get(name)?.port ?? assert.fail(`${name} did not start`)

  before(async () => {
    const owner: Owner = { after: close => void closes.push(close) }
    const { port } = await startOurProgram(owner)
    const start = async (name: Name) => {
      const broker = await startBrokerOf(name, owner, { name: `bad-${name.replaceAll('.', '-')}`, nameServers: [`127.0.0.1:${port}`] }) // biome-ignore format: one thought
      brokers.set(name, broker)
      const other = await connectRaw(broker.port)
      owner.after(async () => other.destroy())
      others.set(name, other)
      const queues = String(QUEUES)
      const extFields = { topic: TOPIC, defaultTopic: 'TBW102', readQueueNums: queues, writeQueueNums: queues, perm: '6', topicFilterType: 'SINGLE_TAG', topicSysFlag: '0', order: 'false' } // biome-ignore format: one thought
      assert.equal((await other.call({ code: 17, extFields })).code, 0)
      assert.equal((await other.call(goodSend)).code, 0)
    }
    await Promise.all(makers.map(start))
  })

  after(async () => {
    for (const close of closes.toReversed()) await close()
  })

  for (const { name, request, ours } of badInputs) {
    test(name, async () => {
      const [answer, ...apaches] = await Promise.all(makers.map(maker => ask(portOf(maker), request)))
      const expected = ours === undefined ? apaches.map(({ code }) => code) : [ours.code]
      const code = answer?.code ?? -1
      assert.ok(expected.includes(code), `ours answers ${code} ${answer?.remark}, Apache ${apaches.map(each => `${each.code} ${each.remark}`).join(' and ')}`) // biome-ignore format: one thought
      if (NO_REFUSALS.includes(code)) return
      assert.match(answer?.remark ?? '', /\S/)
      assert.doesNotMatch(answer?.remark ?? '', /Exception(?! was thrown)|node:|\.ts:/)
    })
  }

  for (const { name, bytes } of frames) {
    test(`${name} ends its connection`, async () => {
      // Apache 5.5.0 leaves it open, and reads on for ever.
      for (const maker of ['ours', '4.9.7'] as const) {
        const connection = await connectRaw(portOf(maker))
        connection.write(bytes)
        await connection.closes()
      }
    })
  }

  test('the other clients go on, and no hostile name is left', async () => {
    for (const [maker, other] of others) {
      assert.equal((await other.call(goodSend)).code, 0, maker)
      const { topicConfigTable } = parseFastjson((await other.call({ code: 21 })).body) as { topicConfigTable: object }
      const hostile = Object.keys(topicConfigTable).filter(topic => !/^[%|a-zA-Z0-9_-]+$/.test(topic))
      assert.deepEqual(hostile, [], maker)
    }
    const folder = brokers.get('ours')?.folder ?? ''
    assert.deepEqual((await readdir(folder)).toSorted(), ['broker.conf', 'store'])
    const queues = await readdir(join(folder, 'store', 'consumequeue'))
    assert.deepEqual(
      queues.filter(topic => !/^[%|a-zA-Z0-9_-]+$/.test(topic)),
      [],
    )
  })
})
