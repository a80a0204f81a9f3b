import assert from 'node:assert/strict'
import { globSync, readFileSync, statSync } from 'node:fs'
import { basename, dirname, join } from 'node:path'
import { test } from 'node:test'
import { linksOf } from './markdown.ts'
import { addressFields, shippedReadme } from './shipped-readme.ts'

const ADDRESS = 'https://host.example/owner/gantry'
const readmes = globSync('packages/*/README.md').map(file => {
  return { folder: basename(dirname(file)), text: readFileSync(file, 'utf8') }
})

test('no README of a package links to a file that the package does not ship', () => {
  for (const { folder, text } of readmes) {
    const links = linksOf(shippedReadme(text, folder, undefined))
    assert.deepEqual(
      links.filter(link => !/^(?:https?:|#)/.test(link)),
      [],
      folder,
    )
  }
})

test('with the address of the project, its links lead to files of the project', () => {
  const before = `${ADDRESS}/blob/main/`
  for (const { folder, text } of readmes) {
    const relative = linksOf(text).filter(link => link.startsWith('.'))
    const links = linksOf(shippedReadme(text, folder, ADDRESS)).filter(link => link.startsWith(before))
    assert.equal(links.length, relative.length, folder)
    for (const link of links) assert.ok(statSync(link.slice(before.length).split('#')[0] ?? ''), link)
  }
})

test('one address gives homepage, repository and bugs', () => {
  assert.deepEqual(addressFields('client', undefined), {})
  assert.deepEqual(addressFields('client', ADDRESS), {
    homepage: `${ADDRESS}/tree/main/packages/client#readme`,
    repository: { type: 'git', url: `git+${ADDRESS}.git`, directory: 'packages/client' },
    bugs: { url: `${ADDRESS}/issues` },
  })
})

test('a clone has the programs of the package gantrymq', () => {
  const { bin } = JSON.parse(readFileSync('packages/gantrymq/package.json', 'utf8')) as { bin: Record<string, string> }
  const programs = globSync('packages/gantrymq/src/bin/*.ts').map(file => basename(file, '.ts'))
  assert.deepEqual(Object.keys(bin).toSorted(), programs.toSorted())
  for (const file of Object.values(bin)) {
    const path = join('packages/gantrymq', file)
    assert.ok(statSync(path).mode & 0o100, `${path} is executable`)
    assert.match(readFileSync(path, 'utf8'), /^#!\/usr\/bin\/env node\n/)
  }
})
