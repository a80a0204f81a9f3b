import assert from 'node:assert/strict'
import { once } from 'node:events'
import { setImmediate as turn } from 'node:timers/promises'
import { type PropertyEntry, readProperties, RemotingError } from '@gantrymq/remoting'
import { ManualClock, memorySockets } from '@gantrymq/remoting/testing'
import type { FuzzTarget } from '@gantrymq/testkit'
import { isAllowedHost } from '../src/http/host-names.ts'
import { HttpEndpoint } from '../src/http/http-endpoint.ts'
import { Refusal } from '../src/http/page.ts'
import { readPageQuery } from '../src/http/paging.ts'
import { editProperties } from '../src/options/properties-edit.ts'
import { findOptions } from '../src/options/sources.ts'
import { pagesOf, STARTED_AT } from './health-fixture.ts'
import { serverOptions } from './server-options.ts'

const clock = new ManualClock(STARTED_AT)
const pages = pagesOf({ clock })
const http = new HttpEndpoint({ answer: request => pages.answer(request), role: 'test server', clock })

const TURNS = 200

/** Each request gets a whole answer, or the connection ends. */
async function readHttp(input: Buffer): Promise<void> {
  const [near, far] = memorySockets()
  let answer = ''
  far.on('data', (bytes: Buffer) => (answer += bytes.toString('latin1')))
  far.on('error', () => {})
  const closed = once(far, 'close')
  http.accept(near)
  far.end(input)
  for (let turns = 0; turns < TURNS && !far.destroyed; turns++) await turn()
  far.destroy()
  await closed
  if (answer !== '') assert.match(answer, /^HTTP\/1\.1 [1-5]\d\d /)
  await turn()
  assert.equal(http.connections, 0)
}

function readOptions(input: Buffer): void {
  const entries = readProperties(input)
  const { options, problems } = findOptions(serverOptions, { file: { path: 'f', entries }, home: '/h' })
  assert.ok(options.listenPort >= 0 && options.listenPort <= 65_535 && options.maxConnections >= 1)
  for (const { text } of problems) assert.notEqual(text, '')
  const key = entries.at(input.length % Math.max(1, entries.length))?.key ?? 'new'
  const edited = readProperties(editProperties(input, new Map([[key, 'x']])))
  assert.deepEqual(valuesOf(edited), new Map([...valuesOf(entries), [key, 'x']]))
}

function valuesOf(entries: readonly PropertyEntry[]): Map<string, string> {
  return new Map(entries.map(({ key, value }) => [key, value]))
}

function readQuery(input: Buffer): void {
  const { limit } = readPageQuery(new URLSearchParams(input.toString()))
  assert.ok(limit >= 1 && limit <= 1000)
}

const text = (lines: readonly string[]) => lines.map(line => Buffer.from(line))

/** Everything of this package that reads what others send or write. */
export const targets: readonly FuzzTarget[] = [
  {
    name: 'http-requests',
    samples: text([
      'GET /livez HTTP/1.1\r\nhost: localhost\r\n\r\n',
      'HEAD /readyz?a=b HTTP/1.0\r\n\r\n',
      'GET http://localhost/metrics HTTP/1.1\r\nHost: 10.0.0.1:9876\r\nConnection: keep-alive\r\n\r\n',
      'POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 3\r\n\r\nabc',
    ]),
    words: [
      '\r\n',
      '\r\n\r\n',
      ': ',
      'HTTP/1.1',
      'transfer-encoding: chunked',
      '%00',
      '%',
      '/..',
      '?',
      '#',
      'Expect: 100-continue',
    ],
    share: 0.05,
    read: readHttp,
    declares: () => false,
  },
  {
    name: 'option-files',
    samples: text([
      'listenPort=9876\nmaxConnections = 10\ntls.server.mode=enforcing\n',
      'maxFrameSize=16m\nlisten=1\n',
    ]),
    words: [
      '=',
      '\\',
      '-1',
      '99999999999999999999',
      '1e9',
      'true',
      'proxyProtocolRanges=',
      '10.0.0.0/8',
      'orderMessageEnable=',
    ],
    share: 0.02,
    read: readOptions,
    declares: error => error instanceof RemotingError && error.code === 'BAD_OPTION',
  },
  {
    name: 'page-queries',
    samples: text(['prefix=a&after=b&limit=10', 'limit=1000']),
    words: ['&', '=', '%', '+', 'limit=', '0', '99999'],
    share: 0.3,
    read: readQuery,
    declares: error => error instanceof Refusal,
  },
  {
    name: 'host-names',
    samples: text(['localhost:9876', '[::1]:80', 'ns.example.com.', '10.0.0.1']),
    words: ['[', ']', ':', '.', '*', '%'],
    share: 0.3,
    read: input => {
      const host = input.toString()
      assert.equal(isAllowedHost(host, ['*']), true)
      if (isAllowedHost(host, [])) assert.equal(isAllowedHost(host, ['*.example.com']), true)
    },
    declares: () => false,
  },
]
