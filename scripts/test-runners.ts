// Runs the examples of docs/testing.md for Vitest and Jest as a user does, with the packed packages.
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { run } from './command.ts'

const VITEST = 'vitest@5.1.2'
const JEST = 'jest@30.5.2'

interface Runner {
  readonly name: string
  /** Where the document has its example: a line that only this example has. */
  readonly line: string
  readonly file: string
  readonly args: readonly string[]
}

const runners: readonly Runner[] = [
  {
    name: 'Vitest',
    line: "from 'vitest'",
    file: 'vitest/orders.test.ts',
    args: [join('node_modules', 'vitest', 'vitest.mjs'), 'run', '--dir', 'vitest'],
  },
  {
    name: 'Jest',
    line: '// orders.test.mjs',
    file: 'jest/orders.test.mjs',
    args: [
      '--experimental-vm-modules',
      join('node_modules', 'jest', 'bin', 'jest.js'),
      '--rootDir',
      'jest',
      '--testMatch',
      '**/*.test.mjs',
    ],
  },
]

/**
 * @param folder A folder of its own: the types that the test runners bring along must not hide a mistake in those of the packages.
 * @throws Error with the output if an example is missing, fails, or does not end by itself
 */
export function tryTestRunners(folder: string, tarballs: readonly string[]): void {
  mkdirSync(folder)
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n')
  const inFolder = { cwd: folder, timeoutMs: 180_000 }
  run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', VITEST, JEST, ...tarballs], inFolder)
  for (const { name, line, file, args } of runners) {
    writeExample(folder, file, exampleOf('docs/testing.md', line))
    const output = run(process.execPath, args, inFolder)
    if (!/1 passed/.test(output)) throw new Error(`${name} has not run the example:\n${output}`)
  }
}

function exampleOf(document: string, line: string): string {
  for (const [, code = ''] of readFileSync(document, 'utf8').matchAll(/^```[jt]s\n(.*?)^```/gms)) {
    if (code.includes(line)) return code
  }
  throw new Error(`${document} has no example with ${line}`)
}

function writeExample(folder: string, file: string, code: string): void {
  const path = join(folder, file)
  mkdirSync(dirname(path), { recursive: true })
  writeFileSync(path, code)
}
