#!/usr/bin/env node
import '../program/node-release.ts'

// Node's own handler would open a debugger port, to which any process of this machine can connect.
process.on('SIGUSR1', () => {})

// Cold reads and syncs of the store share libuv's pool; it is created at its first use.
process.env['UV_THREADPOOL_SIZE'] ??= '8'
// Between two collections V8 lets a small heap grow up to fourfold: a broker with thousands of topics would hold 50 MB of garbage.
process.getBuiltinModule('node:v8').setFlagsFromString('--heap-growing-percent=50')
// This comes before all other modules: see mqnamesrv.ts.
process.getBuiltinModule('node:module').enableCompileCache()
const { mqbroker } = await import('../broker/mqbroker.ts')
const { run } = await import('../program/run.ts')
const { thisProcess } = await import('../program/this-process.ts')

const exitCode = await run(mqbroker, thisProcess())
if (exitCode !== null) process.exitCode = exitCode
