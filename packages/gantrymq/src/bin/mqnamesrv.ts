#!/usr/bin/env node
import { enableCompileCache } from 'node:module'

// Before everything else is loaded: from the second start on it saves most of the loading time, and where the sources
// run unbuilt also the 30 MB of what strips their types.
enableCompileCache()
const { mqnamesrv } = await import('../name-server/mqnamesrv.ts')
const { run } = await import('../program/run.ts')
const { thisProcess } = await import('../program/this-process.ts')

const exitCode = await run(mqnamesrv, thisProcess())
if (exitCode !== null) process.exitCode = exitCode
