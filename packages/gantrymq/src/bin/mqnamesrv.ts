#!/usr/bin/env node
import '../program/node-release.ts'

// Node's own handler would open a debugger port, to which any process of this machine can connect.
process.on('SIGUSR1', () => {})

// This comes before all other modules: from the second start on, the cache saves most of the loading time, and when the
// sources run unbuilt also the 30 MB of the code that strips their types.
process.getBuiltinModule('node:module').enableCompileCache()
const { mqnamesrv } = await import('../name-server/mqnamesrv.ts')
const { run } = await import('../program/run.ts')
const { thisProcess } = await import('../program/this-process.ts')

const exitCode = await run(mqnamesrv, thisProcess())
if (exitCode !== null) process.exitCode = exitCode
