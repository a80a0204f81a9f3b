import assert from 'node:assert/strict'
import { test } from 'node:test'
import { mqbroker } from '../broker/mqbroker.ts'
import { mqnamesrv } from '../name-server/mqnamesrv.ts'
import { gantry } from '../standalone/gantry.ts'
import { whyNotStarted } from './start-failure.ts'

const inUse = (port: number) =>
  Object.assign(new Error('listen'), { code: 'EADDRINUSE', syscall: 'listen', port, address: '0.0.0.0' })

test('a port in use is moved by the option that chose it, also the second port of a broker', () => {
  const broker = mqbroker.options.resolve({ listenPort: 10_911, httpPort: 8080 })
  const nameServer = mqnamesrv.options.resolve({ listenPort: 9876, httpPort: 8080 })
  const both = gantry.options.resolve({})
  const said = {
    '--listen-port': [
      whyNotStarted(inUse(10_911), mqbroker, broker),
      whyNotStarted(inUse(9876), mqnamesrv, nameServer),
    ],
    '--http-port': [whyNotStarted(inUse(8080), mqbroker, broker), whyNotStarted(inUse(8080), mqnamesrv, nameServer)],
    '--fast-listen-port': [whyNotStarted(inUse(10_909), mqbroker, broker)],
    '--broker-port': [whyNotStarted(inUse(10_911), gantry, both), whyNotStarted(inUse(10_909), gantry, both)],
  }
  for (const [flag, texts] of Object.entries(said)) {
    for (const text of texts) assert.match(text, new RegExp(`is in use by another program: .* with ${flag}$`))
  }
})
