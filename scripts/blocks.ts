// Runs the code blocks of the documentation: `sh` blocks in a shell at the root of the repository, `ts` blocks as files. A
// comment on the line above a block may add:
//   <!-- not run: REASON -->       skips the block
//   <!-- stays up until: TEXT -->  keeps the block running; the blocks below start when it has printed TEXT
//   <!-- until: TEXT -->           ends the block when it has printed TEXT
//   <!-- prints -->                on a `text` block: lines that the block above must print; … matches anything
//   <!-- needs: a broker -->       runs in `npm run interop`, with a broker of Apache instead of 127.0.0.1:9876
//   <!-- needs: a broker, until: TEXT -->  the same, but ends the block when it has printed TEXT
//   <!-- continues -->             on a `ts` block: appends it to the `ts` block above
// Blocks with the comments of scripts/environments.ts run in `npm run build`.
import assert from 'node:assert/strict'
import { type ChildProcess, execFile, spawn } from 'node:child_process'
import { chmodSync, mkdirSync, rmSync, writeFileSync } from 'node:fs'
import { delimiter, join, resolve } from 'node:path'
import type { TestContext } from 'node:test'
import { promisify } from 'node:util'
import { type Block, blocksOf, readDocument } from './markdown.ts'

const execute = promisify(execFile)
const DEADLINE_MS = 60_000
const untilText = /^stays up until: (.+)$/
const endText = /^until: (.+)$/
const onBroker = /^needs: a broker(?:, until: (.+))?$/
/** The address of the name server in the documents. */
const USUAL = '127.0.0.1:9876'

const isRun = ({ note }: Block) => !/^(?:not run: \S|file: \S|recipe\b|output$)/.test(note)

/** The blocks of a document to run, with continuations appended. */
export function runningBlocks(document: string): Block[] {
  const blocks: Block[] = []
  for (const block of blocksOf(readDocument(document)).filter(isRun)) {
    const before = blocks.at(-1)
    if (block.note !== 'continues') blocks.push(block)
    else if (before?.language === 'ts')
      blocks[blocks.length - 1] = { ...before, text: `${before.text}\n\n${block.text}` }
    else throw new Error(`${document}:${block.line} continues no ts block`)
  }
  return blocks
}

/** The blocks that need a broker with what they print, or all others. */
function blocksThat(needBroker: boolean, document: string): Block[] {
  let needs = false
  return runningBlocks(document).filter(({ note }) => {
    if (note !== 'prints') needs = onBroker.test(note)
    return needs === needBroker
  })
}

export const blocksOnBroker = (document: string): Block[] => blocksThat(true, document)
export const blocksWithoutBroker = (document: string): Block[] => blocksThat(false, document)

/** Whether a block listens on the port of the name server in the documents. */
export function needsUsualPort({ note }: Block): boolean {
  return untilText.test(note)
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

interface Running {
  readonly printed: string
  readonly child: ChildProcess
}

/** A folder for the files of blocks: inside the repository, so that imports find the packages, and ignored by git. */
export class BlockFolder {
  readonly #path: string
  readonly #nameServer: string

  /** @param nameServer Replaces the address of the name server in all blocks. */
  constructor(name: string, { nameServer = USUAL }: { readonly nameServer?: string } = {}) {
    this.#path = resolve('.cache', name)
    this.#nameServer = nameServer
    rmSync(this.#path, { recursive: true, force: true })
    mkdirSync(join(this.#path, 'bin'), { recursive: true })
    writeFileSync(join(this.#path, 'bin/npm'), npm)
    chmodSync(join(this.#path, 'bin/npm'), 0o755)
  }

  /** Checks the types of all `ts` blocks. */
  async checkTypes(documents: readonly string[]): Promise<void> {
    for (const document of documents) {
      for (const block of runningBlocks(document)) if (block.language === 'ts') this.#write(document, block)
    }
    const project = join(this.#path, 'tsconfig.json')
    writeFileSync(project, '{ "extends": "../../tsconfig.json", "include": ["*.ts"] }\n')
    await this.#output('tsc', ['-p', project])
  }

  /** Runs blocks in order. */
  async run(t: TestContext, document: string, blocks: readonly Block[]): Promise<void> {
    let printed = ''
    const concurrent: Promise<string>[] = []
    for (const [at, block] of blocks.entries()) {
      if (block.note === 'prints') assertPrinted(block.text, printed)
      else if (standsAlone(block, blocks[at + 1])) concurrent.push(later(this.#runBlock(t, document, block)))
      else if (block.language === 'sh' || block.language === 'ts') printed = await this.#runBlock(t, document, block)
    }
    await Promise.all(concurrent)
  }

  /** Runs a block and returns its output. */
  async #runBlock(t: TestContext, document: string, block: Block): Promise<string> {
    const isShell = block.language === 'sh'
    const program = isShell ? 'bash' : process.execPath
    const args = isShell ? ['-ec', this.#textOf(block)] : [this.#write(document, block)]
    const endsAt = (onBroker.exec(block.note) ?? endText.exec(block.note))?.[1]
    const sign = endsAt ?? untilText.exec(block.note)?.[1]
    if (sign === undefined) return this.#output(program, args)
    const { printed, child } = await this.#startAndStay(t, program, args, sign)
    if (endsAt !== undefined) await endGroup(child)
    return printed
  }

  #textOf({ text }: Block): string {
    return text.replaceAll(USUAL, this.#nameServer)
  }

  #write(document: string, block: Block): string {
    const file = join(this.#path, `${document.replaceAll(/[/.]/g, '-')}-${block.line}.ts`)
    writeFileSync(file, `${this.#textOf(block)}\nexport {}\n`)
    return file
  }

  get #environment() {
    const PATH = join(this.#path, 'bin') + delimiter + process.env['PATH']
    return { ...process.env, PATH, GANTRY_DATA_DIR: join(this.#path, 'data') }
  }

  async #output(program: string, args: readonly string[]): Promise<string> {
    try {
      const { stdout, stderr } = await execute(program, args, { env: this.#environment, timeout: DEADLINE_MS })
      return stdout + stderr
    } catch (error) {
      const { stdout, stderr } = error as { readonly stdout: string; readonly stderr: string }
      throw new Error(`${String(error)}\n${stdout}${stderr}`, { cause: error })
    }
  }

  /** Starts a block that keeps running and waits until it has printed `sign`. It ends with the test. */
  async #startAndStay(t: TestContext, program: string, args: readonly string[], sign: string): Promise<Running> {
    const child = spawn(program, args, { env: this.#environment, detached: true, stdio: ['ignore', 'pipe', 'pipe'] })
    t.after(() => endGroup(child))
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
}

/** Ends the process group: the shell, npm and what npm has started. */
async function endGroup(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return
  const { promise, resolve: settle } = Promise.withResolvers<void>()
  child.on('exit', () => settle())
  process.kill(-child.pid, 'SIGTERM')
  await promise
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

const quoted = (text: string) => text.replaceAll(/[$()*+.?[\\\]^{|}]/g, String.raw`\$&`)

/** Checks that each line was printed; … matches anything. */
export function assertPrinted(expected: string, printed: string): void {
  for (const line of expected.split('\n').filter(text => text.trim() !== '')) {
    const pattern = line.split('…').map(quoted).join('.*')
    assert.match(printed, new RegExp(pattern), `the block above must print this line`)
  }
}
