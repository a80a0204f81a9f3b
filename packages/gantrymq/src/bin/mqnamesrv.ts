#!/usr/bin/env node
import { enableCompileCache } from 'node:module'

// Before everything else is loaded: from the second start on it saves most of the loading time, and where the sources
// run unbuilt also the 30 MB of what strips their types.
enableCompileCache()
const { main } = await import('../name-server-main.ts')
await main()
