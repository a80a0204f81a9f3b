#!/usr/bin/env node
import { homedir } from 'node:os'
import { type FoundOptions, NameServer } from '@gantrymq/namesrv'
import type { Logger } from '@gantrymq/remoting'
import { prometheusPage } from '../metrics.ts'
import { runNameServer } from '../name-server-program.ts'

async function start({ options, unknown }: FoundOptions, log: Logger) {
  const server = await NameServer.start({ ...options, unknownKeys: unknown, log, metricsPage: prometheusPage })
  return { port: server.address.port, close: () => server.close() }
}

process.exitCode =
  (await runNameServer({
    args: process.argv.slice(2),
    environment: process.env,
    home: homedir(),
    print: line => process.stdout.write(`${line}\n`),
    complain: line => process.stderr.write(`${line}\n`),
    start,
  })) ?? 0
