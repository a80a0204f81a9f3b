// Uses the packed packages as a user does: in another folder, from an ES module and from CommonJS.
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { run } from './command.ts'
import { broker, entrypoint, nameServer, unit } from './deploy-files.ts'

const viaImport = `
  for (const name of process.argv.slice(2)) console.log(name, Object.keys(await import(name)).sort().join(' '))
`
const viaRequire = `
  for (const name of process.argv.slice(2)) console.log(name, Object.keys(require(name)).sort().join(' '))
`

/** Starts the installed name server, and ends it with the installed mqshutdown. */
async function tryPrograms(folder: string): Promise<void> {
  const env = { ...process.env, HOME: folder }
  const programs = join('node_modules', '.bin')
  const server = spawn(process.execPath, [join(programs, 'mqnamesrv'), '--listen-port', '0'], { cwd: folder, env })
  const ended = once(server, 'exit')
  try {
    server.stdout.setEncoding('utf8')
    for await (const chunk of server.stdout.iterator({ destroyOnReturn: false })) {
      if (String(chunk).includes('The Name Server boot success')) break
    }
    server.stdout.resume()
    await promisify(execFile)(process.execPath, [join(programs, 'mqshutdown'), 'namesrv'], { cwd: folder, env })
    const [code] = (await ended) as [number | null]
    if (code !== 0) throw new Error(`mqnamesrv exited with code ${code}`)
  } finally {
    server.kill('SIGKILL')
  }
}

/** Runs the commands of the images and the units of deploy/ in this folder, as far as their version. */
function tryDeployed(folder: string): void {
  for (const deployed of [nameServer, broker]) {
    const [start = ''] = unit(deployed).get('ExecStart') ?? []
    for (const command of [entrypoint(deployed), start.split(' -c ', 1)[0]?.split(' ') ?? []]) {
      const args = command.slice(command.indexOf('node') + 1)
      const here = args.map(word => word.replace(/^.*(?=\/node_modules\/gantrymq\/)/, folder))
      run(process.execPath, [...here, '--version'], { cwd: folder, timeoutMs: 120_000 })
    }
  }
}

/**
 * Installs the packages, loads them both ways and runs the programs.
 * @throws Error with the output if one of these fails
 */
export async function tryInstalled(
  folder: string,
  tarballs: readonly string[],
  names: readonly string[],
): Promise<void> {
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, 'package.json'), '{ "private": true }\n')
  writeFileSync(join(folder, 'import.mjs'), viaImport)
  writeFileSync(join(folder, 'require.cjs'), viaRequire)
  const inFolder = { cwd: folder, timeoutMs: 120_000 }
  run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', ...tarballs], inFolder)
  const imported = run(process.execPath, ['import.mjs', ...names], inFolder)
  const required = run(process.execPath, ['require.cjs', ...names], inFolder)
  if (imported !== required) throw new Error(`import and require differ:\n${imported}\n${required}`)
  tryDeployed(folder)
  await tryPrograms(folder)
}
