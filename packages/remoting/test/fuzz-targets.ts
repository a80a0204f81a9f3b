import assert from 'node:assert/strict'
import { isIP } from 'node:net'
import { failsWith, type FuzzTarget, goldenFrames, goldenSends, outcome } from '@gantrymq/testkit'
import { addressRanges } from '../src/address-range.ts'
import { addressesOf } from '../src/address-list.ts'
import type { Command } from '../src/command.ts'
import { FrameError, FrameTooLargeError, RemotingError } from '../src/errors.ts'
import { FastjsonReader, readFastjson } from '../src/fastjson/reader.ts'
import type { JsonInput, JsonValue } from '../src/fastjson/value.ts'
import { writeFastjson } from '../src/fastjson/writer.ts'
import { encodeFrame, FrameDecoder, readCommand, scanHeader } from '../src/frame.ts'
import { HeaderView, toCommand } from '../src/header-view.ts'
import { readJsonHeader, scanJsonHeader } from '../src/json-header.ts'
import { Outbox } from '../src/outbox.ts'
import { latestProperties, readProperties, writeProperties } from '../src/properties-file.ts'
import { detectProtocol } from '../src/protocol-signatures.ts'
import { PROXY_V2_LIMIT, readProxyV1, readProxyV2 } from '../src/proxy-protocol.ts'

const MAX_FRAME = 1 << 20
const MAX_HEADER = 65_535
const FRESH = 4711

const frames = [...goldenFrames().map(({ bytes }) => bytes), ...goldenSends().map(({ frame }) => frame)]
const isBinary = (frame: Buffer) => frame[4] === 1

function headerIn(frame: Buffer): Buffer {
  return frame.subarray(8, 8 + (frame.readUInt32BE(4) & 0xffffff))
}

const isFrameError = (error: unknown) => error instanceof FrameError || error instanceof FrameTooLargeError

/** The bodies of all frames in the bytes, which arrive in pieces of a size. */
function framesOf(bytes: Buffer, pieceSize: number): (Buffer | string)[] {
  const decoder = new FrameDecoder(MAX_FRAME)
  const found: (Buffer | string)[] = []
  for (let at = 0; at < bytes.length; at += pieceSize) {
    decoder.push(bytes.subarray(at, at + pieceSize))
    for (;;) {
      const more = outcome(() => decoder.next())
      if (typeof more === 'string') return [...found, more]
      if (!more) break
      found.push(Buffer.from(decoder.bytes.subarray(decoder.start, decoder.end)))
    }
  }
  return found
}

function commandIn(frame: Buffer): Command {
  const view = new HeaderView()
  const scanned = scanHeader(frame, 0, frame.length, MAX_HEADER, view)
  return readCommand(frame, 0, view, scanned, FRESH)
}

/** A command that is written and read again is the same. */
function checkWritten(command: Command): void {
  const again = encodeFrame(command, new Outbox())
  const { language = 'OTHER', serializeType, extFields } = command
  // A binary header cannot have a table of fields that is empty.
  const isEmpty = serializeType === 'ROCKETMQ' && extFields?.size === 0
  assert.deepEqual(commandIn(again.subarray(4)), { ...command, language, extFields: isEmpty ? null : extFields })
}

function readFrames(input: Buffer): void {
  const whole = framesOf(input, Math.max(1, input.length))
  const pieceSize = 1 + ((input[0] ?? 0) % 17)
  assert.deepEqual(framesOf(input, pieceSize), whole, `in pieces of ${pieceSize} bytes`)
  for (const frame of whole) {
    if (typeof frame === 'string') continue
    const command = outcome(() => commandIn(frame))
    if (typeof command !== 'string' && command.serializeType === 'JSON') checkWritten(command)
  }
}

function readJsonHeaders(input: Buffer): void {
  const bytes = Buffer.concat([Buffer.from('{"'), input, Buffer.from('","x":1}\\u0041')])
  const view = new HeaderView()
  const scanned = scanJsonHeader(bytes, 2, 2 + input.length, view) ? toCommand(view) : undefined
  const general = readJsonHeader(input, 0, input.length, null, FRESH)
  if (scanned !== undefined) assert.deepEqual({ ...scanned, body: null }, general, 'the scanner differs')
  checkWritten(general)
}

function readBinaryHeaders(input: Buffer): void {
  const frame = Buffer.concat([Buffer.alloc(4), input])
  frame.writeUInt32BE(((1 << 24) | input.length) >>> 0)
  const command = commandIn(frame)
  // The writer repeats no field, and a code or version is an int16 in both.
  checkWritten(command)
}

/** A value as JSON.parse returns it, with what fastjson reads differently changed. */
function plain(value: JsonValue): unknown {
  if (value instanceof Map) return new Map([...value].map(([key, item]) => [key, plain(item)] as const))
  if (Array.isArray(value)) return (value as readonly JsonValue[]).map(plain)
  return value
}

/**
 * JSON.parse with Maps for objects, and exact integers. Undefined if the text is not JSON, or has what fastjson reads
 * differently: a $ref, half of a surrogate pair.
 */
function strict(input: Buffer): { readonly value: unknown } | undefined {
  const text = input.toString()
  if (/\$|\\u[dD][89a-fA-F]/.test(text) || !Buffer.from(text).equals(input)) return undefined
  try {
    return {
      value: JSON.parse(text, (_key, value: unknown, context?: { readonly source?: string }) => {
        if (typeof value === 'number') return numberOf(context?.source ?? '', value)
        const isPlain = typeof value === 'object' && value !== null && !Array.isArray(value)
        return isPlain ? new Map(Object.entries(value)) : value
      }) as unknown,
    }
  } catch {
    return undefined
  }
}

function numberOf(source: string, value: number): unknown {
  // Java has neither infinite numbers nor a negative zero among whole ones; very long ones are doubles.
  if (!Number.isFinite(value)) return null
  if (!/^-?\d{1,64}$/.test(source)) return value
  return Number.isSafeInteger(value) ? value + 0 : BigInt(source)
}

/** Limits that refuse valid JSON: depth, size of a word. */
const isLimit = (error: unknown) =>
  error instanceof RemotingError && /deeper|larger|longer|more than|too/.test(error.message)

function hasObjectKeys(value: JsonValue): boolean {
  if (Array.isArray(value)) return (value as readonly JsonValue[]).some(hasObjectKeys)
  if (!(value instanceof Map)) return false
  return [...value].some(([key, item]) => typeof key !== 'string' || hasObjectKeys(item))
}

function readJson(input: Buffer): void {
  const reader = new FastjsonReader(input)
  const value = outcome(() => readFastjson(input))
  const sliced = outcome(() => {
    while (!reader.step(7));
    return reader.result
  })
  assert.deepEqual(sliced, value, 'reading in slices differs')
  const json = strict(input)
  if (json !== undefined) {
    try {
      assert.deepEqual(plain(readFastjson(input)), json.value, 'JSON.parse differs')
    } catch (error) {
      if (!isLimit(error)) throw error
    }
  }
  // Two objects that are keys may be equal, and then only one of them is written again.
  if (typeof value === 'string' || hasObjectKeys(value)) return
  const written = writeFastjson(value as JsonInput, 'fastjson')
  // A member of this name that was no reference may be written as one.
  if (written.includes('"$ref"')) return
  assert.equal(writeFastjson(readFastjson(written) as JsonInput, 'fastjson'), written, 'writing again differs')
}

function readPropertiesFile(input: Buffer): void {
  for (const encoding of ['latin1', 'utf8'] as const) {
    const entries = [...latestProperties(readProperties(input, encoding)).values()].map(
      ({ key, value }) => [key, value] as const,
    )
    const again = readProperties(Buffer.from(writeProperties(entries)))
    assert.deepEqual(
      again.map(({ key, value }) => [key, value]),
      entries,
    )
  }
}

function readPreamble(input: Buffer, read: typeof readProxyV2, limit: number): void {
  const found = read(input)
  if (found === undefined) assert.ok(input.length < limit, 'it waits for more bytes than a preamble may have')
  else {
    assert.ok(found.length <= input.length && found.length <= limit)
    const { source } = found
    if (source !== null) assert.notEqual(isIP(source.slice(0, source.lastIndexOf(':'))), 0, source)
  }
}

function detect(input: Buffer): void {
  let decided: string | undefined
  for (let length = 0; length <= Math.min(input.length, 32); length++) {
    const protocol = detectProtocol(input.subarray(0, length))
    if (decided !== undefined) assert.equal(protocol, decided, 'more bytes change a decision')
    else if (protocol !== 'more') decided = protocol
  }
  if (input.length >= 14) assert.notEqual(decided, undefined, 'fourteen bytes do not decide')
}

function readRanges(input: Buffer): void {
  const text = input.toString()
  const ranges = addressRanges(text)
  assert.equal(ranges.includes(text), isIP(text) !== 0 && ranges.includes(text))
  for (const address of ['10.0.0.1', '::ffff:10.0.0.1', 'fe80::1%eth0', '', 'localhost']) ranges.includes(address)
}

const text = (lines: readonly string[]) => lines.map(line => Buffer.from(line))

const proxyV2 = (rest: string) => Buffer.from(`0d0a0d0a000d0a515549540a${rest}`, 'hex')

const jsonWords = [
  '{}[]:,"\'\\'.split(''),
  [
    '\\u',
    '\\ud83d',
    'null',
    'true',
    'false',
    '1e999',
    '-0',
    '0.1',
    '/*',
    '*/',
    '//',
    '\n',
    '\ufeff',
    'L',
    '\u2028',
    'NaN',
  ],
  ['9223372036854775807', '-9223372036854775808', '99999999999999999999', '{"$ref":"$"}', '"$ref":"..', '"__proto__":'],
  ['new Date(', 'Set[', '@type', '"@type":"java.lang.Class"', '[[[[', '{"a":', ',,,'],
].flat()

const headerWords = [
  '"code":',
  '"extFields":{',
  '"flag":',
  '"language":"JAVA"',
  '"opaque":',
  '"remark":"',
  '"version":',
]

/** Everything of this package that reads what others send or write. */
export const targets: readonly FuzzTarget[] = [
  { name: 'frames', samples: frames, words: headerWords, read: readFrames, declares: isFrameError },
  {
    name: 'json-headers',
    samples: frames.filter(frame => !isBinary(frame)).map(headerIn),
    words: [...headerWords, ...jsonWords],
    read: readJsonHeaders,
    declares: isFrameError,
  },
  {
    name: 'binary-headers',
    samples: frames.filter(isBinary).map(headerIn),
    read: readBinaryHeaders,
    declares: isFrameError,
  },
  {
    name: 'fastjson',
    samples: [
      ...frames.filter(frame => !isBinary(frame)).map(headerIn),
      ...text(['{1:[1,2.5,{"a":null}],{"x":1}:"y"}', '[{"a":1},{"$ref":"$[0]"}]', "{a:'b',c:[true,,false,]}"]),
    ],
    words: jsonWords,
    share: 2,
    read: readJson,
    declares: failsWith('BAD_BODY'),
  },
  {
    name: 'properties-files',
    samples: text([
      'listenPort=9876\nrocketmqHome = /opt/rocketmq\n# comment\n! another\nkey:value\n',
      'a\\ b = c\\\n   d\\\\\nlong = \\u00fc\\t\r\nempty\r=x\n',
    ]),
    words: ['\\', '\\u', '\\u0041', '=', ':', '#', '!', '\r', '\n', '\r\n', ' ', '\t', '\f', '\u00ff'],
    share: 0.2,
    read: readPropertiesFile,
    declares: failsWith('BAD_OPTION'),
  },
  {
    name: 'proxy-v1',
    samples: text([
      'PROXY TCP4 10.0.0.1 10.0.0.2 50000 9876\r\nrest',
      'PROXY TCP6 fd00::1 fd00::2 1 2\r\n',
      'PROXY UNKNOWN\r\n',
    ]),
    words: ['PROXY ', 'TCP4', 'TCP6', 'UNKNOWN', '\r\n', ' ', '65536', '::ffff:1.2.3.4'],
    read: input => readPreamble(input, readProxyV1, 107),
    declares: failsWith('BAD_FRAME'),
  },
  {
    name: 'proxy-v2',
    samples: [
      proxyV2('2111000c0a0000010a000002c3501f90'),
      proxyV2(`21210024${'fd'.repeat(32)}00010002`),
      proxyV2('20000000'),
      proxyV2('21110010 0a0000010a000002c3501f90 04000100'.replaceAll(' ', '')),
    ],
    read: input => readPreamble(input, readProxyV2, PROXY_V2_LIMIT),
    declares: failsWith('BAD_FRAME'),
  },
  {
    name: 'protocols',
    samples: [
      ...frames.slice(0, 4),
      ...text(['GET / HTTP/1.1\r\n', 'PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n', 'PROXY TCP4 ', '\r\n\r\n\0\r\nQUIT\n!']),
      Buffer.from('16030100', 'hex'),
    ],
    words: ['GET ', 'HEAD ', 'POST ', 'PROXY ', 'PRI * HTTP/2.0', '\r\n\r\n\0\r\nQUIT\n'],
    read: detect,
    declares: () => false,
  },
  {
    name: 'address-ranges',
    samples: text(['10.0.0.0/8, 192.168.1.7', 'fd00::/8 ::1', '0.0.0.0/0']),
    words: ['/', ',', ' ', '::', '%eth0', '128', '255.255.255.255', '::ffff:0:0/96'],
    share: 0.5,
    read: readRanges,
    declares: failsWith('BAD_OPTION'),
  },
  {
    name: 'address-lists',
    samples: text(['10.0.0.1:9876;10.0.0.2:9876', 'http://a.example:80,[fd00::1]:1\n', ' ; ;']),
    share: 0.5,
    words: [';', ',', 'http://', 'https://a/b/', ' ', '[::1]:1'],
    read: input => {
      const once = addressesOf(input.toString())
      assert.deepEqual(addressesOf(once), addressesOf(once.join(';')))
    },
    declares: failsWith('BAD_OPTION'),
  },
]
