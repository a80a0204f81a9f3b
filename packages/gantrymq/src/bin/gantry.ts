#!/usr/bin/env node
import '../program/node-release.ts'

// Node's own handler would open a debugger port, to which any process of this machine can connect.
process.on('SIGUSR1', () => {})

// Cold reads and syncs of the store share libuv's pool; it is created at its first use.
process.env['UV_THREADPOOL_SIZE'] ??= '8'
// This comes before all other modules: see mqnamesrv.ts.
process.getBuiltinModule('node:module').enableCompileCache()
const { thisProcess } = await import('../program/this-process.ts')

const exitCode = process.argv[2] === 'why' ? await why() : await serve()
if (exitCode !== null) process.exitCode = exitCode

async function why(): Promise<number> {
  const { runWhy } = await import('../why/why-program.ts')
  const here = thisProcess()
  return await runWhy({ ...here, args: here.args.slice(1) })
}

async function serve(): Promise<number | null> {
  const { gantry } = await import('../standalone/gantry.ts')
  const { run } = await import('../program/run.ts')
  return await run(gantry, thisProcess())
}
