import assert from 'node:assert/strict'
import { test } from 'node:test'
import { RemotingError } from '@gantrymq/remoting'
import { readCredentials } from './credentials.ts'

const read = (text: string) => [...readCredentials(Buffer.from(text))]

test('each line is an account; comments and blank lines are none', () => {
  assert.deepEqual(read('# brokers\nbroker-a=secret-1\n\noperator = sécret 2\n'), [
    ['broker-a', 'secret-1'],
    ['operator', 'sécret 2'],
  ])
})

test('special characters are escaped as in Java, and of two lines with one access key the last counts', () => {
  assert.deepEqual(read('a\\:b=x=y\\u0041\nc=1\nc=2'), [
    ['a:b', 'x=yA'],
    ['c', '2'],
  ])
})

const invalid: readonly [what: string, text: string, message: RegExp][] = [
  ['no account', '# nothing\n', /no account: write a line/],
  ['a line without a secret', 'a=1\nbroker\n', /^line 2: the secret key of broker is missing/],
  ['a line without an access key', '=secret78', /^line 1: the access key is missing/],
  ['a blank at the end of a secret', 'a=secret78 \n', /^line 1: .*begins or ends with a blank/],
  ["Apache's tools.yml", 'accessKey: rocketmq2\nsecretKey: secret78\n', /^line 1: this is YAML/],
  ["Apache's plain_acl.yml", 'accounts:\n- accessKey: RocketMQ\n  secretKey: secret78\n', /^line 1: this is YAML/],
]

for (const [what, text, message] of invalid) {
  test(`${what} is refused, and the error contains no secret`, () => {
    assert.throws(
      () => read(text),
      (error: unknown) => {
        assert.ok(error instanceof RemotingError)
        assert.equal(error.code, 'BAD_OPTION')
        assert.match(error.message, message)
        assert.doesNotMatch(error.message, /secret78/)
        return true
      },
    )
  })
}
