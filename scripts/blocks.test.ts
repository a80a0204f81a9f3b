// Runs the code blocks that need no broker, after a type check of all. The others run in `npm run interop`.
import { connect } from 'node:net'
import { test } from 'node:test'
import { BlockFolder, blocksWithoutBroker, needsUsualPort } from './blocks.ts'
import { documents } from './markdown.ts'

const ALL_DEADLINE_MS = 300_000

function isListening(port: number): Promise<boolean> {
  const { promise, resolve } = Promise.withResolvers<boolean>()
  const socket = connect(port, '127.0.0.1')
  socket.on('connect', () => resolve(true)).on('error', () => resolve(false))
  return promise.finally(() => socket.destroy())
}

const nodeMajor = Number(process.versions.node.split('.')[0])
// The blocks use `await using`, which older releases only support in compiled files.
const skip = nodeMajor < 24 ? 'the blocks need Node 24' : false

test('the blocks of the documentation', { skip, timeout: ALL_DEADLINE_MS }, async t => {
  const folder = new BlockFolder('blocks')
  await t.test('ts blocks have the right types', () => folder.checkTypes(documents()))
  const isPortTaken = await isListening(9876)
  for (const document of documents()) {
    const blocks = blocksWithoutBroker(document)
    if (!blocks.some(({ language }) => language === 'sh' || language === 'ts')) continue
    const blocked = isPortTaken && blocks.some(needsUsualPort) ? 'port 9876 is taken on this machine' : false
    await t.test(`${document} runs as printed`, { skip: blocked }, inner => folder.run(inner, document, blocks))
  }
})
