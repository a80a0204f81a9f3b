/** Runs the code blocks and examples that need a broker. The others run in `npm test`. */
import { execFile } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { Producer } from '@gantrymq/client'
import { BlockFolder, blocksOnBroker } from '../../scripts/blocks.ts'
import { documents } from '../../scripts/markdown.ts'
import { skipReason } from '../src/launch/apache.ts'
import type { Owner } from '../src/launch/launched-program.ts'
import { startApacheBroker } from '../src/launch/launcher.ts'
import { startOurProgram } from '../src/launch/our-name-server.ts'

/** Switches on what blocks and examples use, and lets sends wait longer in case the machine is busy. */
const properties = { enablePropertyFilter: true, recallMessageEnable: true, waitTimeMillsInSendQueue: 10_000 }
/** With the first message a broker creates its files and Java compiles its code. */
const FIRST_SEND_MS = 30_000
const EXAMPLE_MS = 60_000

const run = promisify(execFile)
const skip = await skipReason()
const examples = globSync('examples/[0-9]*.ts').filter(path => readFileSync(path, 'utf8').includes('NAMESRV_ADDR'))

/** Starts our name server and a broker of Apache. Returns the address of the name server. */
async function startBroker(owner: Owner): Promise<string> {
  const { port } = await startOurProgram(owner)
  const nameServer = `127.0.0.1:${port}`
  await startApacheBroker(owner, { release: '5.5.0', nameServers: [nameServer], name: 'broker-a', properties })
  const producer = await Producer.start({ nameServers: nameServer, group: 'warm-up', timeoutMs: FIRST_SEND_MS })
  try {
    await producer.send({ topic: 'WarmUp', body: 'first' })
  } finally {
    await producer.close()
  }
  return nameServer
}

describe('documents, broker 5.5.0, name server ours', { skip }, () => {
  const closes: (() => Promise<void>)[] = []
  let nameServer = ''
  before(async () => {
    nameServer = await startBroker({ after: close => void closes.push(close) })
  })
  after(async () => {
    for (const close of closes.toReversed()) await close()
  })

  describe('blocks', () => {
    for (const document of documents()) {
      const blocks = blocksOnBroker(document)
      if (blocks.length === 0) continue
      test(`${document} runs as printed`, async t => {
        const folder = new BlockFolder('blocks-on-broker', { nameServer })
        await folder.run(t, document, blocks)
      })
    }
  })

  // Examples wait most of their time.
  describe('examples', { concurrency: 6 }, () => {
    for (const example of examples.toSorted()) {
      test(`${example} runs and ends by itself`, async () => {
        await run(process.execPath, [example], {
          env: { ...process.env, NAMESRV_ADDR: nameServer },
          timeout: EXAMPLE_MS,
        })
      })
    }
  })
})
