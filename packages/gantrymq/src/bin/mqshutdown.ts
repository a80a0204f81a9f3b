#!/usr/bin/env node
import { mqnamesrv } from '../name-server/mqnamesrv.ts'
import { shutDown, stoppable } from '../program/shutdown-program.ts'
import { thisProcess } from '../program/this-process.ts'

process.exitCode = await shutDown([stoppable('namesrv', mqnamesrv)], thisProcess())
