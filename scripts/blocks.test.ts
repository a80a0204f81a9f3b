// Runs the code blocks of the documentation. In each document, in order: `sh` blocks in a shell at the root of the repository,
// `ts` blocks as files, after one type check of all. A comment on the line above a block may add:
//   <!-- not run: REASON -->       skips the block
//   <!-- stays up until: TEXT -->  keeps the block running; the blocks below start when it has printed TEXT
//   <!-- prints -->                on a `text` block: lines that the block above must print; … matches anything
//   <!-- needs: a broker -->       runs with a name server and a broker of Apache instead of 127.0.0.1:9876
//   <!-- needs: a broker, until: TEXT -->  the same, but ends the block when it has printed TEXT
//   <!-- continues -->             on a `ts` block: appends it to the `ts` block above
import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { delimiter, join, resolve } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { clusterSkipReason, standingCluster } from '../interop/src/launch/standing-cluster.ts'
import { type Block, blocksOf, documents, readDocument } from './markdown.ts'

const run = promisify(execFile)
/** Inside the repository, so that imports find the packages, and ignored by git. */
const work = resolve('.cache/blocks')
const untilText = /^stays up until: (.+)$/
const DEADLINE_MS = 60_000
const ALL_DEADLINE_MS = 300_000

const onBroker = /^needs: a broker(?:, until: (.+))?$/
/** The address of the name server in the documents. */
const USUAL = '127.0.0.1:9876'

const runs = ({ note }: Block) => !/^not run: \S/.test(note)

/** The blocks of a document to run, with continuations appended. */
function runningBlocks(document: string): Block[] {
  const blocks: Block[] = []
  for (const block of blocksOf(readDocument(document)).filter(runs)) {
    const before = blocks.at(-1)
    if (block.note !== 'continues') blocks.push(block)
    else if (before?.language === 'ts')
      blocks[blocks.length - 1] = { ...before, text: `${before.text}\n\n${block.text}` }
    else throw new Error(`${document}:${block.line} continues no ts block`)
  }
  return blocks
}

function fileOf(document: string, block: Block): string {
  return join(work, `${document.replaceAll(/[/.]/g, '-')}-${block.line}.ts`)
}

/**
 * A replacement for npm. `npm ci` does nothing, because the packages are installed already. A block that installs something
 * would change this checkout, so it must be marked. All other commands go to npm.
 */
const npm = `#!/bin/sh
case "$1" in
  ci) exit 0 ;;
  i | install | add) echo "mark this block as not run: it installs into this checkout" >&2; exit 1 ;;
esac
PATH="\${PATH#*:}"
exec npm "$@"
`

function prepare(): void {
  rmSync(work, { recursive: true, force: true })
  mkdirSync(join(work, 'bin'), { recursive: true })
  writeFileSync(join(work, 'bin/npm'), npm)
  chmodSync(join(work, 'bin/npm'), 0o755)
  writeFileSync(join(work, 'tsconfig.json'), '{ "extends": "../../tsconfig.json", "include": ["*.ts"] }\n')
  for (const document of documents()) {
    for (const block of runningBlocks(document)) {
      if (block.language === 'ts') writeFileSync(fileOf(document, block), `${block.text}\nexport {}\n`)
    }
  }
}

const environment = () => ({ ...process.env, PATH: join(work, 'bin') + delimiter + process.env['PATH'] })

interface Failure {
  readonly stdout: string
  readonly stderr: string
}

async function output(program: string, args: readonly string[]): Promise<string> {
  try {
    const { stdout, stderr } = await run(program, args, { env: environment(), timeout: DEADLINE_MS })
    return stdout + stderr
  } catch (error) {
    const { stdout, stderr } = error as Failure
    throw new Error(`${String(error)}\n${stdout}${stderr}`, { cause: error })
  }
}

function listening(port: number): Promise<boolean> {
  const { promise, resolve: settle } = Promise.withResolvers<boolean>()
  const socket = connect(port, '127.0.0.1')
  socket.on('connect', () => settle(true)).on('error', () => settle(false))
  return promise.finally(() => socket.destroy())
}

interface Running {
  readonly printed: string
  readonly child: ChildProcess
}

/** Starts a block that keeps running and waits until it has printed `sign`. It ends with the test. */
async function startAndStay(t: TestContext, program: string, args: readonly string[], sign: string): Promise<Running> {
  const child = spawn(program, args, { env: environment(), detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
  t.after(() => end(child))
  const { promise, resolve: settle, reject } = Promise.withResolvers<Running>()
  let printed = ''
  const collect = (chunk: Buffer) => {
    printed += chunk
    if (printed.includes(sign)) settle({ printed, child })
  }
  child.stdout.on('data', collect)
  child.stderr.on('data', collect)
  child.on('exit', () => reject(new Error(`ended before it printed "${sign}":\n${printed}`)))
  const late = setTimeout(() => reject(new Error(`never printed "${sign}":\n${printed}`)), DEADLINE_MS)
  return promise.finally(() => clearTimeout(late))
}

/** Ends the process group: the shell, npm and what npm has started. */
async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return
  const { promise, resolve: settle } = Promise.withResolvers<void>()
  child.on('exit', () => settle())
  process.kill(-child.pid, 'SIGTERM')
  await promise
}

const quoted = (text: string) => text.replaceAll(/[$()*+.?[\\\]^{|}]/g, String.raw`\$&`)

function assertPrinted(expected: string, printed: string): void {
  for (const line of expected.split('\n').filter(text => text.trim() !== '')) {
    const pattern = line.split('…').map(quoted).join('.*')
    assert.match(printed, new RegExp(pattern), `the block above must print this line`)
  }
}

/** Runs a block with the address of the cluster instead of the usual one. */
async function runOnBroker(t: TestContext, file: string, block: Block, until: string | undefined): Promise<string> {
  const text = block.text.replaceAll(USUAL, await standingCluster())
  if (block.language === 'sh') return output('bash', ['-ec', text])
  writeFileSync(file, `${text}\nexport {}\n`)
  if (until === undefined) return output(process.execPath, [file])
  const { printed, child } = await startAndStay(t, process.execPath, [file], until)
  await end(child)
  return printed
}

/** The blocks that need no broker. */
function withoutBroker(blocks: readonly Block[]): Block[] {
  let isLeft = false
  return blocks.filter(({ note }) => {
    if (note !== 'prints') isLeft = onBroker.test(note)
    return !isLeft
  })
}

/** Runs a block and returns its output. */
async function runBlock(t: TestContext, document: string, block: Block): Promise<string> {
  const { note, text, language } = block
  const [needsBroker, until] = onBroker.exec(note) ?? []
  if (needsBroker !== undefined) return runOnBroker(t, fileOf(document, block), block, until)
  const sign = untilText.exec(note)?.[1]
  if (language === 'ts') return output(process.execPath, [fileOf(document, block)])
  if (sign === undefined) return output('bash', ['-ec', text])
  return (await startAndStay(t, 'bash', ['-ec', text], sign)).printed
}

/** Whether a block can run concurrently with the blocks below: they do not check its output. */
function standsAlone({ note, language }: Block, next: Block | undefined): boolean {
  return note === 'needs: a broker' && language === 'ts' && next?.note !== 'prints'
}

/** Marks a promise that is awaited later, so that its failure does not count as unhandled. */
function later<T>(promise: Promise<T>): Promise<T> {
  promise.catch(() => {})
  return promise
}

async function runBlocks(t: TestContext, document: string, blocks: readonly Block[]): Promise<void> {
  let printed = ''
  const concurrent: Promise<string>[] = []
  for (const [at, block] of blocks.entries()) {
    if (block.note === 'prints') assertPrinted(block.text, printed)
    else if (standsAlone(block, blocks[at + 1])) concurrent.push(later(runBlock(t, document, block)))
    else if (block.language === 'sh' || block.language === 'ts') printed = await runBlock(t, document, block)
  }
  await Promise.all(concurrent)
}

const nodeMajor = Number(process.versions.node.split('.')[0])
// The blocks use `await using`, which older releases only support in compiled files.
const skip = nodeMajor < 24 ? 'the blocks need Node 24' : false

test('the blocks of the documentation', { skip, timeout: ALL_DEADLINE_MS }, async t => {
  prepare()
  await t.test('ts blocks have the right types', async () => {
    await output('tsc', ['-p', join(work, 'tsconfig.json')])
  })
  const standardPortTaken = await listening(9876)
  const noBroker = await clusterSkipReason()
  for (const document of documents()) {
    const blocks = runningBlocks(document)
    if (!blocks.some(({ language }) => language === 'sh' || language === 'ts')) continue
    const needsPort = blocks.some(({ note }) => untilText.test(note))
    const blocked = needsPort && standardPortTaken ? 'port 9876 is taken on this machine' : false
    await t.test(`${document} runs as printed`, { skip: blocked }, inner =>
      runBlocks(inner, document, noBroker === false ? blocks : withoutBroker(blocks)),
    )
    if (noBroker !== false && blocks.some(({ note }) => onBroker.test(note))) {
      await t.test(`the blocks of ${document} that need a broker`, { skip: noBroker })
    }
  }
})
