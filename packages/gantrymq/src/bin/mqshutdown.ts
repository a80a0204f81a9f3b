#!/usr/bin/env node
import { homedir } from 'node:os'
import { shutDown } from '../shutdown-program.ts'

process.exitCode = await shutDown({
  args: process.argv.slice(2),
  environment: process.env,
  home: homedir(),
  print: line => process.stdout.write(`${line}\n`),
  complain: line => process.stderr.write(`${line}\n`),
})
