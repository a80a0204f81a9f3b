import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Faults, type SeenRequest } from './faults.ts'

function request(name: string, topic = 'Orders'): SeenRequest {
  return { name, header: { topic } } as Partial<SeenRequest> as SeenRequest
}

/** The codes that requests meet, one after the other; undefined for one that meets no fault. */
function met(faults: Faults, ...requests: readonly SeenRequest[]): (number | undefined)[] {
  return requests.map(each => {
    const fault = faults.take(each)
    return fault?.answer === 'code' ? fault.code : undefined
  })
}

const ask = request('ASK')

test('only the requests that a fault is set for meet it, as often as was said and after as many as were said', () => {
  const faults = new Faults()
  const set = faults.set(['ASK'], { answer: 'code', code: 1, after: 1, times: 2 })
  assert.deepEqual(met(faults, ask, request('OTHER'), ask, ask, ask), [undefined, undefined, 1, 1, undefined])
  assert.equal(set.met, 2)
})

test('a fault for all requests may choose among them', () => {
  const faults = new Faults()
  faults.set(['*'], { answer: 'code', code: 1, times: 9, where: ({ header }) => header['topic'] === 'Bills' })
  assert.deepEqual(met(faults, ask, request('ASK', 'Bills'), request('OTHER', 'Bills')), [undefined, 1, 1])
})

test('of two faults that match, the one that was set first applies until it is over', () => {
  const faults = new Faults()
  faults.set(['ASK'], { answer: 'code', code: 1 })
  faults.set(['*'], { answer: 'code', code: 2 })
  assert.deepEqual(met(faults, ask, ask, ask), [1, 2, undefined])
})

test('no request meets a fault that was lifted or cleared', () => {
  const faults = new Faults()
  const lifted = faults.set(['ASK'], { answer: 'code', code: 1 })
  lifted.lift()
  const cleared = faults.set(['ASK'], { answer: 'code', code: 2 })
  faults.clear()
  assert.deepEqual([met(faults, ask), lifted.met, cleared.met], [[undefined], 0, 0])
})

test('only faults that are due and that the server does not notice keep requests back', () => {
  const faults = new Faults()
  faults.set(['ASK'], { answer: 'never' })
  assert.equal(faults.keepsBack('ASK'), false, 'the server handles the request, and its answer is lost')
  faults.clear()
  faults.set(['ASK'], { answer: 'never', handled: false, after: 1 })
  assert.equal(faults.keepsBack('ASK'), false)
  faults.take(ask)
  assert.equal(faults.keepsBack('ASK'), true)
  assert.equal(faults.keepsBack('OTHER'), false)
  faults.take(ask)
  assert.equal(faults.keepsBack('ASK'), false)
})
