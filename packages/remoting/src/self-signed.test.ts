import assert from 'node:assert/strict'
import { createPrivateKey, X509Certificate } from 'node:crypto'
import { test } from 'node:test'
import { selfSigned } from './self-signed.ts'

test('the certificate is signed by its own key and names localhost', () => {
  const { key, cert } = selfSigned()
  const certificate = new X509Certificate(cert)
  assert.equal(certificate.verify(certificate.publicKey), true)
  assert.equal(certificate.checkPrivateKey(createPrivateKey(key)), true)
  assert.equal(certificate.checkIssued(certificate), true)
  assert.equal(certificate.checkHost('localhost'), 'localhost')
})

test('the certificate is valid now and never expires', () => {
  const certificate = new X509Certificate(selfSigned().cert)
  assert.ok(new Date(certificate.validFrom) < new Date())
  assert.equal(new Date(certificate.validTo).getUTCFullYear(), 9999)
})

test('each certificate has its own key and serial number', () => {
  const [one, two] = [selfSigned(), selfSigned()].map(({ cert }) => new X509Certificate(cert))
  assert.notEqual(one?.serialNumber, two?.serialNumber)
  assert.notEqual(
    one?.publicKey.export({ type: 'spki', format: 'pem' }),
    two?.publicKey.export({ type: 'spki', format: 'pem' }),
  )
})
