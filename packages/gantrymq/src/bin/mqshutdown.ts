#!/usr/bin/env node
import '../program/node-release.ts'

const { mqnamesrv } = await import('../name-server/mqnamesrv.ts')
const { shutDown, stoppable } = await import('../program/shutdown-program.ts')
const { thisProcess } = await import('../program/this-process.ts')

process.exitCode = await shutDown([stoppable('namesrv', mqnamesrv)], thisProcess())
