import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { blocksOf, linksOf } from './markdown.ts'

const SUFFIX = '.zh-CN.md'
const translations = globSync(['*', 'docs/*'].map(folder => `${folder}${SUFFIX}`)).sort()

const read = (path: string) => readFileSync(path, 'utf8')
const shape = (text: string) =>
  [...text.replaceAll(/^```[^]*?^```$/gm, '').matchAll(/^#+(?= )/gm)].map(([level]) => level)
const codeOf = (text: string) => blocksOf(text).map(({ language, note, text: code }) => ({ language, note, code }))
const targets = (text: string) =>
  new Set(linksOf(text).flatMap(link => (link.startsWith('#') ? [] : link.replace(SUFFIX, '.md').split('#', 1))))

test('the README and the page of the client are in Chinese, too', () => {
  assert.deepEqual(translations, [`README${SUFFIX}`, `docs/client${SUFFIX}`])
})

for (const translation of translations) {
  const original = translation.replace(SUFFIX, '.md')
  const [text, english] = [read(translation), read(original)]

  // The blocks of all documents are run, those of translations among them.
  test(`${translation} has the code blocks of ${original}, with what their comments tell the tests to do`, () => {
    assert.deepEqual(codeOf(text), codeOf(english))
  })

  test(`${translation} has the headings and the links of ${original}`, () => {
    assert.deepEqual(shape(text), shape(english))
    assert.deepEqual(
      [...targets(english)].filter(link => !targets(text).has(link)),
      [],
    )
  })

  test(`${translation} and ${original} lead to each other`, () => {
    const name = (path: string) => path.split('/').at(-1) ?? ''
    assert.ok(linksOf(text).includes(name(original)))
    assert.ok(linksOf(english).includes(name(translation)))
  })
}
