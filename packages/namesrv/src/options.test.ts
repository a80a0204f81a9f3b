import assert from 'node:assert/strict'
import { test } from 'node:test'
import { findOptions } from '@gantrymq/daemon'
import { readProperties } from '@gantrymq/remoting'
import { nameServerOptions } from './options.ts'

const { names } = nameServerOptions

test('every default can be printed and read back, except those that are refused on purpose', () => {
  for (const name of names) {
    const option = nameServerOptions.option(name)
    const value = option.fallback
    assert.deepEqual(nameServerOptions.read(name, value === null ? '' : option.print(value)), value, name)
  }
})

test('flags, variables and keys of different options differ, and none is also an ignored key', () => {
  for (const naming of ['flag', 'variable', 'property'] as const) {
    assert.equal(new Set(names.map(name => nameServerOptions[naming](name))).size, names.length)
  }
  for (const name of names) assert.ok(!nameServerOptions.ignored.has(nameServerOptions.property(name)), name)
})

test('without sources the defaults of Apache 5.5.0 are in force', () => {
  const { options, problems } = findOptions(nameServerOptions, { home: '/home/me' })
  assert.deepEqual(problems, [])
  assert.equal(options.listenPort, 9876)
  assert.equal(options.bindAddress, '0.0.0.0')
  assert.equal(options.kvConfigPath, '/home/me/namesrv/kvConfig.json')
  assert.equal(options.configStorePath, '/home/me/namesrv/namesrv.properties')
  assert.equal(options.configBlackList, 'configBlackList;configStorePath;kvConfigPath')
  assert.equal(options.rocketmqHome, null)
  assert.ok(Object.isFrozen(options))
})

test('the options of Apache features that this server does not have can only be false', () => {
  for (const name of ['clusterTest', 'enableControllerInNamesrv'] as const) {
    assert.equal(nameServerOptions.read(name, 'false'), false)
    assert.equal(nameServerOptions.read(name, 'true'), undefined)
    assert.match(nameServerOptions.option(name).expected, /^false: /)
  }
})

test('a key of the controller or the embedded client is reported to have no effect', () => {
  const entries = readProperties(Buffer.from('controllerDLegerGroup=g\nconnectTimeoutMillis=1'))
  const { problems } = findOptions(nameServerOptions, { home: '/home/me', file: { path: 'ns.conf', entries } })
  assert.deepEqual(
    problems.map(({ text }) => text),
    [
      "ns.conf:1: controllerDLegerGroup has no effect: it belongs to Apache's controller, which this name server does not have",
      "ns.conf:2: connectTimeoutMillis has no effect: it belongs to Apache's embedded client, which this name server does not have",
    ],
  )
})

test('a server inside another program uses no file by default', () => {
  const options = nameServerOptions.resolve()
  const paths = names.filter(name => nameServerOptions.option(name).type === 'path')
  assert.deepEqual(paths.filter(name => options[name] !== null), []) // biome-ignore format: one line
})

test('only options that name no path, open no port and limit nothing may change at run time', () => {
  const changeable = names.filter(name => ['live', 'restart'].includes(nameServerOptions.option(name).change))
  for (const name of changeable) {
    assert.notEqual(nameServerOptions.option(name).type, 'path', name)
    assert.doesNotMatch(name, /Port$|address|^max|slow|tls|path|file/i)
  }
})
