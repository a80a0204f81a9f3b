import { crypto } from './builtin.ts'

/** A private key and its certificate, both PEM. */
export interface KeyAndCertificate {
  readonly key: string
  readonly cert: string
}

/**
 * Creates a self-signed certificate (EC P-256, `CN=localhost`) that never expires. It allows encryption but proves no identity.
 * Apache creates such a certificate at start-up when `tls.test.mode.enable` is on, and its clients can connect to this one too.
 */
export function selfSigned(): KeyAndCertificate {
  const { privateKey, publicKey } = crypto().generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const body = certificateBody(publicKey.export({ type: 'spki', format: 'der' }))
  const signature = crypto().sign('sha256', body, privateKey)
  const certificate = sequence(body, ECDSA_WITH_SHA256, der(BIT_STRING, Buffer.of(0), signature))
  return { key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(), cert: pem(certificate) }
}

// Grammar and numbers: RFC 5280 section 4.1, written in DER (ITU-T X.690).
const INTEGER = 0x02
const BIT_STRING = 0x03
const OCTET_STRING = 0x04
const UTF8_STRING = 0x0c
const UTC_TIME = 0x17
const GENERALIZED_TIME = 0x18
const SEQUENCE = 0x30
const SET = 0x31

const ECDSA_WITH_SHA256 = sequence(Buffer.from('06082a8648ce3d040302', 'hex'))
const COMMON_NAME = Buffer.from('0603550403', 'hex')
const SUBJECT_ALTERNATIVE_NAME = Buffer.from('0603551d11', 'hex')
const DNS_NAME = 0x82

function certificateBody(publicKey: Buffer): Buffer {
  const name = sequence(der(SET, sequence(COMMON_NAME, der(UTF8_STRING, Buffer.from('localhost')))))
  const serial = crypto().randomBytes(16)
  // A serial number must be positive and must not have a redundant leading zero.
  serial.writeUInt8((serial.readUInt8() & 0x3f) | 0x40)
  const names = sequence(der(DNS_NAME, Buffer.from('localhost')))
  return sequence(
    explicit(0, der(INTEGER, Buffer.of(2))),
    der(INTEGER, serial),
    ECDSA_WITH_SHA256,
    name,
    // The last second of 9999 means that the certificate has no end (RFC 5280 section 4.1.2.5).
    sequence(der(UTC_TIME, Buffer.from('200101000000Z')), der(GENERALIZED_TIME, Buffer.from('99991231235959Z'))),
    name,
    publicKey,
    explicit(3, sequence(sequence(SUBJECT_ALTERNATIVE_NAME, der(OCTET_STRING, names)))),
  )
}

function der(tag: number, ...parts: readonly Buffer[]): Buffer {
  const content = Buffer.concat(parts)
  const { length } = content
  const head = length < 128 ? [length] : length < 256 ? [0x81, length] : [0x82, length >> 8, length & 255]
  return Buffer.concat([Buffer.of(tag, ...head), content])
}

function sequence(...parts: readonly Buffer[]): Buffer {
  return der(SEQUENCE, ...parts)
}

function explicit(tag: number, part: Buffer): Buffer {
  return der(0xa0 | tag, part)
}

function pem(certificate: Buffer): string {
  const lines = certificate.toString('base64').replace(/.{64}(?!$)/g, '$&\n')
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`
}
