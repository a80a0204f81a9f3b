import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test, type TestContext } from 'node:test'
import { VERSION } from '@gantrymq/daemon'
import { mqnamesrv } from '../name-server/mqnamesrv.ts'
import { addPid, readPids, removePid } from './pid-file.ts'
import { shutDown, stoppable } from './shutdown-program.ts'

async function folder(t: TestContext): Promise<string> {
  const path = await mkdtemp(join(tmpdir(), 'pid-'))
  t.after(() => rm(path, { recursive: true, force: true }))
  return path
}

/** A process that waits for a signal, with the given name in its command line. */
async function running(t: TestContext, name: string, body = 'process.on("SIGTERM", () => process.exit(0))') {
  const child = spawn(process.execPath, ['-e', `${body};setInterval(() => {}, 1000);console.log(1)`, name])
  t.after(() => child.kill('SIGKILL'))
  await once(child.stdout, 'data')
  return child
}

async function run(home: string, ...args: string[]) {
  const out: string[] = []
  const note = (line: string) => void out.push(line)
  const surroundings = { args, environment: {}, home, print: note, complain: note }
  const code = await shutDown([stoppable('namesrv', mqnamesrv)], surroundings)
  return { code, out }
}

test('all running name servers of the pid file are ended, with the output of Apache', async t => {
  const home = await folder(t)
  const path = join(home, 'namesrv', 'mqnamesrv.pid')
  const children = [await running(t, 'mqnamesrv'), await running(t, 'mqnamesrv')]
  for (const child of children) await addPid(path, child.pid!)
  const { code, out } = await run(home, 'namesrv')
  assert.equal(code, 0)
  assert.deepEqual(
    out,
    children.flatMap(({ pid }) => [
      `The mqnamesrv(${pid}) is running...`,
      `Send shutdown request to mqnamesrv(${pid}) OK`,
    ]),
  )
})

test('--version prints the version', async t => {
  const { code, out } = await run(await folder(t), '--version')
  assert.deepEqual([code, out], [0, [`mqshutdown ${VERSION} (Gantry)`]])
})

test('without a running name server mqshutdown says so and ends with 1', async t => {
  assert.deepEqual(await run(await folder(t), 'namesrv'), { code: 1, out: ['No mqnamesrv running.'] })
})

test('another process that has the id of an ended name server is not ended', async t => {
  const home = await folder(t)
  const other = await running(t, 'something else')
  await writeFile(join(home, 'x.pid'), `${other.pid}\n`)
  const { code, out } = await run(home, 'namesrv', '--pid-file', join(home, 'x.pid'))
  assert.deepEqual({ code, out }, { code: 1, out: ['No mqnamesrv running.'] })
  assert.equal(other.exitCode, null)
})

test('a process that does not end in time is named, and mqshutdown ends with 1', async t => {
  const home = await folder(t)
  const unresponsive = await running(t, 'mqnamesrv', 'process.on("SIGTERM", () => {})')
  await addPid(join(home, 'x.pid'), unresponsive.pid!)
  const { code, out } = await run(home, 'namesrv', '--pid-file', join(home, 'x.pid'), '--timeout', '0')
  assert.equal(code, 1)
  assert.equal(out.at(-1), `The mqnamesrv(${unresponsive.pid}) has not ended after 0 seconds.`)
})

for (const args of [[], ['broker'], ['namesrv', '--timeout', 'soon'], ['--nope']]) {
  test(`mqshutdown ${args.join(' ')} shows the usage and ends with 1`, async t => {
    const { code, out } = await run(await folder(t), ...args)
    assert.equal(code, 1)
    assert.match(out.join(), /^Usage: mqshutdown namesrv/)
  })
}

test('each kind of server has its own argument and pid file', async t => {
  const home = await folder(t)
  const broker = await running(t, 'mqbroker')
  const pidFile = join(home, 'broker.pid')
  await addPid(pidFile, broker.pid!)
  const out: string[] = []
  const note = (line: string) => void out.push(line)
  const servers = [stoppable('namesrv', mqnamesrv), { word: 'broker', program: 'mqbroker', pidFile: () => pidFile }]
  const shutDownWith = (...args: string[]) =>
    shutDown(servers, { args, environment: {}, home, print: note, complain: note })
  assert.equal(await shutDownWith('all'), 1)
  assert.equal(await shutDownWith('namesrv'), 1)
  assert.equal(await shutDownWith('broker'), 0)
  assert.deepEqual(out, [
    'Usage: mqshutdown namesrv | broker [--pid-file FILE] [--timeout SECONDS]',
    'No mqnamesrv running.',
    `The mqbroker(${broker.pid}) is running...`,
    `Send shutdown request to mqbroker(${broker.pid}) OK`,
  ])
})

test('a pid file loses processes that have ended, and is removed with its last one', async t => {
  const path = join(await folder(t), 'deep', 'x.pid')
  await addPid(path, process.pid)
  await addPid(path, process.ppid)
  assert.deepEqual(await readPids(path), [process.pid, process.ppid])
  await writeFile(path, `999999999\n${process.pid}\nnonsense`)
  assert.deepEqual(await readPids(path), [process.pid])
  await removePid(path, process.pid)
  assert.deepEqual(await readPids(path), [])
})
