import assert from 'node:assert/strict'
import { duplexPair } from 'node:stream'
import { test } from 'node:test'
import { httpGet } from './http-get.ts'

function exchange(answer: (send: (text: string) => void, end: () => void) => void) {
  const [ours, theirs] = duplexPair()
  let request = ''
  theirs.on('data', (chunk: Buffer) => {
    request += chunk.toString()
  })
  theirs.on('error', () => {})
  const answered = httpGet(ours, '/api/v1/x')
  answer(
    text => theirs.write(text),
    () => theirs.end(),
  )
  return { answered, request: () => request }
}

test('a page is read as soon as it is complete, in however many pieces it comes', async () => {
  const { answered, request } = exchange(send => {
    send('HTTP/1.1 200 OK\r\nContent-Le')
    send('ngth: 7\r\n\r\n{"a":')
    send('1}')
  })
  assert.deepEqual(await answered, { status: 200, body: '{"a":1}' })
  assert.match(request(), /^GET \/api\/v1\/x HTTP\/1\.1\r\nHost: localhost\r\n[^]*Connection: close\r\n\r\n$/)
})

test('a server that hangs up, or answers in another protocol, gives no page', async () => {
  assert.equal(await exchange((_, end) => end()).answered, undefined)
  const frames = exchange((send, end) => {
    send('\0\0\0\x08frame..')
    end()
  })
  assert.equal(await frames.answered, undefined)
})

test('a page without an end is given up at 256 KiB', async () => {
  const { answered } = exchange(send => send('x'.repeat(300 * 1024)))
  assert.equal(await answered, undefined)
})
