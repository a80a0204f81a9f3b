import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  hasByteOrderMark,
  latestProperties,
  losesBackslash,
  type PropertyEntry,
  readProperties,
  writeProperties,
} from './properties-file.ts'

function pairs(text: string, encoding?: 'latin1' | 'utf8'): [string, string][] {
  return read(text, encoding).map(({ key, value }) => [key, value])
}

function read(text: string, encoding?: 'latin1' | 'utf8'): PropertyEntry[] {
  return readProperties(Buffer.from(text, encoding ?? 'latin1'), encoding)
}

// What java.util.Properties of JDK 17 answered for the same bytes.
const asJavaReads: readonly [text: string, expected: [string, string][]][] = [
  [
    'a=1\nb:2\nc 3\nd\t4\ne\f5',
    [
      ['a', '1'],
      ['b', '2'],
      ['c', '3'],
      ['d', '4'],
      ['e', '5'],
    ],
  ],
  ['a = 1 \n', [['a', '1 ']]],
  ['a  :  = 1', [['a', '= 1']]],
  ['a==1', [['a', '=1']]],
  [
    '  a=1\r\n\tb=2\rc=3',
    [
      ['a', '1'],
      ['b', '2'],
      ['c', '3'],
    ],
  ],
  ['# c\n! d\n  # e\na=1', [['a', '1']]],
  ['# not continued \\\na=1', [['a', '1']]],
  [
    'a=1,\\\n   2,\\\r\n\t3\nb=4',
    [
      ['a', '1,2,3'],
      ['b', '4'],
    ],
  ],
  ['a=1\\\n# kept', [['a', '1# kept']]],
  [
    'a=1\\\n\nb=2',
    [
      ['a', '1'],
      ['b', '2'],
    ],
  ],
  [
    'a=c:\\\\\nb=1',
    [
      ['a', 'c:\\'],
      ['b', '1'],
    ],
  ],
  ['\\\n\na=1', [['a', '1']]],
  ['\\\n#a=1', []],
  ['a\\ b\\=c\\:d=1', [['a b=c:d', '1']]],
  ['a=\\u00e9\\t\\n\\r\\f\\q\\\\', [['a', '\u00e9\t\n\r\fq\\']]],
  ['a\\u003db=1', [['a=b', '1']]],
  ['a', [['a', '']]],
  ['=1', [['', '1']]],
  ['a=1\\', [['a', '1']]],
  ['\\', [['', '']]],
  ['', []],
]

for (const [text, expected] of asJavaReads) {
  test(`reads ${JSON.stringify(text)} as Java does`, () => {
    assert.deepEqual(pairs(text), expected)
  })
}

test('bytes are ISO-8859-1 unless the caller says UTF-8', () => {
  const bytes = Buffer.from('a=é')
  assert.deepEqual(
    readProperties(bytes, 'utf8').map(entry => entry.value),
    ['é'],
  )
  assert.deepEqual(readProperties(bytes)[0]?.value, 'Ã©')
})

test('a byte order mark is skipped, so that the first key is read', () => {
  const bytes = Buffer.from('\ufefflistenPort=9877')
  assert.ok(hasByteOrderMark(bytes))
  for (const encoding of ['latin1', 'utf8'] as const)
    assert.equal(readProperties(bytes, encoding)[0]?.key, 'listenPort')
  assert.ok(!hasByteOrderMark(Buffer.from('listenPort=9877')))
})

for (const [what, bytes] of [
  ['with its mark, little-endian', Buffer.from('\ufeffa=1', 'utf16le')],
  ['with its mark, big-endian', Buffer.from('\ufeffa=1', 'utf16le').swap16()],
  ['without a mark, little-endian', Buffer.from('a=1', 'utf16le')],
  ['without a mark, big-endian', Buffer.from('a=1', 'utf16le').swap16()],
] as const) {
  test(`UTF-16 ${what}, is refused with what to do`, () => {
    assert.throws(() => readProperties(bytes), { code: 'BAD_OPTION', message: /UTF-16: save it as UTF-8/ })
  })
}

test('an entry shows its value as written, and whether a backslash of it is lost', () => {
  const lost = ['C:\\data', 'C:\\new', 'a\\\\\\b']
  const kept = ['C:/data', 'C:\\\\data', 'C\\:\\\\a\\ b', '\\u0041']
  for (const written of [...lost, ...kept]) {
    assert.equal(read(`a=${written}`)[0]?.written, written)
    assert.equal(losesBackslash(written), lost.includes(written), written)
  }
})

test('each entry knows the line its key begins on', () => {
  const lines = read('# x\na=1\\\n  2\r\n\r\nb=3\rc=4').map(({ key, line }) => [key, line])
  assert.deepEqual(lines, [
    ['a', 2],
    ['b', 5],
    ['c', 6],
  ])
})

test('the last of several entries with the same key counts', () => {
  const latest = latestProperties(read('a=1\nb=2\na=3'))
  assert.deepEqual(
    [...latest.values()].map(({ key, value, line }) => [key, value, line]),
    [
      ['b', '2', 2],
      ['a', '3', 3],
    ],
  )
})

test('a malformed escape is an error that names its line', () => {
  assert.throws(() => read('a=1\nb=\\u12g4'), {
    code: 'BAD_OPTION',
    message: /line 2: .*four hex digits; a backslash escapes/,
  })
  assert.throws(() => read('a=\\u12'), { code: 'BAD_OPTION' })
})

test('a written value cannot inject a line', () => {
  const text = writeProperties([['a', '1\nb=2\r\n#c\\']])
  assert.equal(text, 'a=1\\nb\\=2\\r\\n\\#c\\\\\n')
  assert.deepEqual(pairs(text), [['a', '1\nb=2\r\n#c\\']])
})

test('leading blanks, separators and letters beyond ASCII are escaped as Properties.store does', () => {
  assert.equal(writeProperties([[' a b', '  x é=']]), '\\ a\\ b=\\  x \\u00e9\\=\n')
})

test('written properties read back the same', () => {
  const anyText = fc.string({ unit: fc.nat(0xffff).map(code => String.fromCharCode(code)), maxLength: 20 })
  const awkward = fc.string({ unit: fc.constantFrom(...'\\ =:#!\n\r\t\fu0a'), maxLength: 12 })
  const text = fc.oneof(anyText, awkward)
  fc.assert(
    fc.property(fc.array(fc.tuple(text, text), { maxLength: 5 }), properties => {
      assert.deepEqual(pairs(writeProperties(properties)), properties)
    }),
  )
})

test('any bytes give entries or a BAD_OPTION error', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), bytes => {
      try {
        readProperties(bytes)
      } catch (error) {
        assert.equal((error as { code: string }).code, 'BAD_OPTION')
      }
    }),
  )
})

test('a line that is continued very often is read in time proportional to its length', () => {
  const begin = performance.now()
  const [entry] = readProperties(Buffer.from('a\\\n'.repeat(200_000)))
  assert.equal(entry?.key.length, 200_000)
  // Joining the parts one by one would take half a minute.
  assert.ok(performance.now() - begin < 5_000)
})
