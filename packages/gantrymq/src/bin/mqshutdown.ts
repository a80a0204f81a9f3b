#!/usr/bin/env node
import '../program/node-release.ts'

const { mqbroker } = await import('../broker/mqbroker.ts')
const { mqnamesrv } = await import('../name-server/mqnamesrv.ts')
const { shutDown, stoppable } = await import('../program/shutdown-program.ts')
const { thisProcess } = await import('../program/this-process.ts')

process.exitCode = await shutDown([stoppable('broker', mqbroker), stoppable('namesrv', mqnamesrv)], thisProcess())
