import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { join } from 'node:path'
import { Producer } from '@gantrymq/client'
import { consumeRequests, decodeMessages, pullFlags, queryRequests } from '@gantrymq/protocol'
import { RemotingClient } from '@gantrymq/remoting'
import { MessageStore, NodeDisk } from '@gantrymq/store'
import { type Release, RELEASES, skipReason } from '../src/launch/apache.ts'
import type { Owner } from '../src/launch/launched-program.ts'
import { type LaunchedServer, startApacheBroker, temporaryFolder } from '../src/launch/launcher.ts'
import { startOurBroker } from '../src/launch/our-broker.ts'
import { startOurs } from '../src/launch/our-name-server.ts'

const skip = await skipReason()
const TOPIC = 'Exchanged'
const QUEUES = 4
const MESSAGES = 60
const GROUP = 'store-readers'

type Maker = 'ours' | Release
type Ending = 'stop' | 'kill'

/** What is in a queue: body by offset. */
type Queues = readonly string[][]

class Exchange {
  readonly #t: TestContext
  readonly #client = new RemotingClient()
  #folder = ''
  #nameServer = ''

  constructor(t: TestContext) {
    this.#t = t
  }

  async prepare(): Promise<void> {
    const owner = this.#t as unknown as Owner
    this.#folder = await temporaryFolder(owner)
    this.#nameServer = `127.0.0.1:${(await startOurs(owner)).port}`
    owner.after(() => this.#client.close())
  }

  start(maker: Maker): Promise<LaunchedServer> {
    const owner = this.#t as unknown as Owner
    const store = join(this.#folder, 'store')
    const start = {
      nameServers: [this.#nameServer],
      name: 'broker-a',
      properties: {
        storePathRootDir: store,
        storePathCommitLog: join(store, 'commitlog'),
        defaultTopicQueueNums: QUEUES,
      },
    }
    if (maker === 'ours') return startOurBroker(owner, { ...start, release: '5.5.0' })
    return startApacheBroker(owner, { ...start, release: maker })
  }

  async send(words: readonly string[]): Promise<void> {
    await using producer = await Producer.start({ group: 'store-writers', nameServers: this.#nameServer })
    for (const word of words) await producer.send({ topic: TOPIC, body: word, keys: [word], tags: 'tag' })
  }

  async readAll({ address }: LaunchedServer): Promise<Queues> {
    const queues: string[][] = []
    for (let queueId = 0; queueId < QUEUES; queueId++) queues.push(await this.#readQueue(address, queueId))
    return queues
  }

  async #readQueue(address: string, queueId: number): Promise<string[]> {
    const all: string[] = []
    for (;;) {
      const { code, header, body } = await this.#client.call(address, consumeRequests.PULL_MESSAGE, {
        header: {
          consumerGroup: GROUP,
          topic: TOPIC,
          queueId,
          queueOffset: all.length,
          maxMsgNums: 32,
          sysFlag: pullFlags.subscription,
          commitOffset: 0,
          suspendTimeoutMillis: 0,
          subscription: '*',
          subVersion: 0,
        },
      })
      if (code !== 0) {
        assert.equal(header?.maxOffset, all.length, `queue ${queueId}`)
        return all
      }
      for (const message of decodeMessages(body as Buffer)) {
        assert.equal(message.queueOffset, all.length)
        all.push(message.body.toString())
      }
    }
  }

  /** A store of ours must not open what Apache's broker has open. */
  async assertLocked(): Promise<void> {
    const opening = MessageStore.open({ disk: new NodeDisk(), root: join(this.#folder, 'store') })
    await assert.rejects(opening, { code: 'LOCKED', message: /claimed by process \d+/ })
  }

  async hasKey({ address }: LaunchedServer, key: string): Promise<boolean> {
    const { body } = await this.#client.call(address, queryRequests.QUERY_MESSAGE, {
      header: { topic: TOPIC, key, maxNum: 10, beginTimestamp: 0n, endTimestamp: 2n ** 62n },
    })
    return decodeMessages(body as Buffer).some(message => message.body.toString() === key)
  }
}

const words = (step: number) => Array.from({ length: MESSAGES }, (_, i) => `step-${step}-message-${i}`)

/** Each broker in turn opens the directory, finds what the others stored, in its place, and stores more. */
async function pass(t: TestContext, makers: readonly Maker[], ending: Ending): Promise<void> {
  const exchange = new Exchange(t)
  await exchange.prepare()
  let before: Queues = Array.from({ length: QUEUES }, () => [])
  const sent: string[] = []
  for (const [step, maker] of makers.entries()) {
    const broker = await exchange.start(maker)
    if (step > 0) {
      assert.deepEqual(await exchange.readAll(broker), before, `${maker} opened what ${makers[step - 1]} left`)
    }
    if (maker !== 'ours') await exchange.assertLocked()
    const more = words(step)
    await exchange.send(more)
    sent.push(...more)
    const after = await exchange.readAll(broker)
    for (const [id, queue] of before.entries()) assert.deepEqual(after[id]?.slice(0, queue.length), queue)
    assert.deepEqual(after.flat().toSorted(), sent.toSorted()) // biome-ignore format: one line
    before = after
    for (const word of [sent[0] as string, more.at(-1) as string]) {
      if (ending === 'stop' || word.startsWith(`step-${step}-`)) assert.ok(await exchange.hasKey(broker, word), word)
    }
    await (ending === 'stop' ? broker.stop() : broker.kill())
  }
}

for (const release of RELEASES) {
  for (const ending of ['stop', 'kill'] as const) {
    const how = ending === 'stop' ? 'stopped' : 'killed'
    test(`a directory passes between our broker and Apache ${release}, each of them ${how}`, { skip }, t =>
      pass(t, ['ours', release, 'ours', release], ending),
    )
  }
}
