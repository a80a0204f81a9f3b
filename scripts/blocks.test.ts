// Runs what the documentation shows. In each document, in order: `sh` blocks in a shell at the root of the repository,
// `ts` blocks as files, after one type check of all. A comment on the line above a block may say more:
//   <!-- not run: REASON -->       left out, and why
//   <!-- stays up until: TEXT -->  goes on beside the blocks that follow; they start when TEXT was printed
//   <!-- prints -->                on a `text` block: lines that the block above printed; … stands for anything
import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { connect } from 'node:net'
import { delimiter, join, resolve } from 'node:path'
import { type TestContext, test } from 'node:test'
import { promisify } from 'node:util'
import { type Block, blocksOf, documents, readDocument } from './markdown.ts'

const run = promisify(execFile)
/** Below the root, so that the packages are found, and not in git. */
const work = resolve('.cache/blocks')
const untilText = /^stays up until: (.+)$/
const DEADLINE_MS = 60_000

const runs = ({ note }: Block) => !/^not run: \S/.test(note)

function fileOf(document: string, block: Block): string {
  return join(work, `${document.replaceAll(/[/.]/g, '-')}-${block.line}.ts`)
}

/** `npm ci` does nothing here: this test runs in what it has installed. Everything else is npm's. */
const npm = '#!/bin/sh\n[ "$1" = ci ] && exit 0\nPATH="${PATH#*:}"\nexec npm "$@"\n'

function prepare(): void {
  rmSync(work, { recursive: true, force: true })
  mkdirSync(join(work, 'bin'), { recursive: true })
  writeFileSync(join(work, 'bin/npm'), npm)
  chmodSync(join(work, 'bin/npm'), 0o755)
  writeFileSync(join(work, 'tsconfig.json'), '{ "extends": "../../tsconfig.json", "include": ["*.ts"] }\n')
  for (const document of documents()) {
    for (const block of blocksOf(readDocument(document))) {
      if (block.language === 'ts' && runs(block)) writeFileSync(fileOf(document, block), `${block.text}\nexport {}\n`)
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

/** Starts a block that stays up, waits for its sign of life, and ends it with the test. */
async function startAndStay(t: TestContext, text: string, sign: string): Promise<string> {
  const child = spawn('bash', ['-ec', text], { env: environment(), detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
  t.after(() => end(child))
  const { promise, resolve: settle, reject } = Promise.withResolvers<string>()
  let printed = ''
  const collect = (chunk: Buffer) => {
    printed += chunk
    if (printed.includes(sign)) settle(printed)
  }
  child.stdout.on('data', collect)
  child.stderr.on('data', collect)
  child.on('exit', () => reject(new Error(`ended before it printed "${sign}":\n${printed}`)))
  return promise
}

/** Ends the whole group: the shell, npm and what npm started. */
async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.pid === undefined) return
  const { promise, resolve: settle } = Promise.withResolvers<void>()
  child.on('exit', () => settle())
  process.kill(-child.pid, 'SIGTERM')
  await promise
}

const quoted = (text: string) => text.replaceAll(/[$()*+.?[\\\]^{|}]/g, String.raw`\$&`)

function assertPrinted(expected: string, printed: string): void {
  for (const line of expected.split('\n').filter(text => text.trim() !== '')) {
    const pattern = line.split('…').map(quoted).join('.*')
    assert.match(printed, new RegExp(pattern), `the block above should print this line`)
  }
}

async function play(t: TestContext, document: string): Promise<void> {
  let printed = ''
  for (const block of blocksOf(readDocument(document)).filter(runs)) {
    const sign = untilText.exec(block.note)?.[1]
    if (block.language === 'sh' && sign !== undefined) printed = await startAndStay(t, block.text, sign)
    else if (block.language === 'sh') printed = await output('bash', ['-ec', block.text])
    else if (block.language === 'ts') printed = await output(process.execPath, [fileOf(document, block)])
    else if (block.note === 'prints') assertPrinted(block.text, printed)
  }
}

const nodeMajor = Number(process.versions.node.split('.')[0])
// What readers paste says `await using`, which older releases read only from compiled files.
const skip = nodeMajor < 24 ? 'the blocks are written for Node 24' : false

test('the blocks of the documentation', { skip }, async t => {
  prepare()
  await t.test('ts blocks have the right types', async () => {
    await output('tsc', ['-p', join(work, 'tsconfig.json')])
  })
  const standardPortTaken = await listening(9876)
  for (const document of documents()) {
    const blocks = blocksOf(readDocument(document)).filter(runs)
    if (!blocks.some(({ language }) => language === 'sh' || language === 'ts')) continue
    const needsPort = blocks.some(({ note }) => untilText.test(note))
    const blocked = needsPort && standardPortTaken ? 'port 9876 is taken on this machine' : false
    await t.test(`${document} runs as printed`, { skip: blocked }, inner => play(inner, document))
  }
})
