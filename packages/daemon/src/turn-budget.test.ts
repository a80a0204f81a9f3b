import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { ResponseError, type Sliced, SYSTEM_BUSY } from '@gantrymq/remoting'
import { TurnBudget, type TurnBudgetOptions } from './turn-budget.ts'

type Lane = 'large' | 'other'

/** A budget whose time and turns the test controls. */
class Fixture {
  readonly budget: TurnBudget<Lane>
  /** What was done: the name of each work for each of its slices, and a bar between two turns. */
  log = ''
  #now = 0
  #turns: (() => void)[] = []

  constructor(options: Partial<TurnBudgetOptions<Lane>> = {}) {
    this.budget = new TurnBudget<Lane>({
      budgetMs: 2,
      lanes: ['large', 'other'],
      now: () => this.#now,
      nextTurn: callback => this.#turns.push(callback),
      ...options,
    })
  }

  /** Work of some slices of half a millisecond that returns its name. */
  *work(name: string, slices: number, sliceMs = 0.5): Sliced<string> {
    for (let slice = 1; ; slice++) {
      this.#now += sliceMs
      this.log += name
      if (slice === slices) return name
      yield
    }
  }

  /** Runs a turn of the event loop. False if none was asked for. */
  turn(): boolean {
    const turns = this.#turns
    this.#turns = []
    this.log += '|'
    for (const turn of turns) turn()
    return turns.length > 0
  }

  turns(): void {
    while (this.turn());
  }
}

/** The results of works, some of which were done at once. */
const settled = <T>(works: readonly (T | Promise<T>)[]) => Promise.all(works.map(async work => work))

describe('a turn budget', () => {
  test('does work that fits into the turn at once, without a promise', () => {
    const fixture = new Fixture()
    assert.equal(fixture.budget.run('large', fixture.work('a', 4)), 'a')
    assert.equal(fixture.budget.waiting, 0)
  })

  test('spends the budget of 2 ms in a turn, however many works wait', async () => {
    const fixture = new Fixture()
    const works = Array.from('abcdef', name => fixture.budget.run('large', fixture.work(name, 6)))
    fixture.turns()
    assert.deepEqual(await settled(works), [...'abcdef'])
    const turns = fixture.log.split('|')
    for (const turn of turns) assert.ok(turn.length <= 4, `${turn.length} slices of 0.5 ms in one turn`)
    assert.equal(turns.join('').length, 36)
  })

  test('counts what ran at once in a turn towards its budget', () => {
    const fixture = new Fixture()
    void fixture.budget.run('large', fixture.work('a', 9))
    for (const name of 'bcd') void fixture.budget.run('large', fixture.work(name, 1))
    // The time of the turn is used up, so it does one slice only.
    fixture.turn()
    assert.equal(fixture.log, 'aaaa|b')
  })

  test('completes the works of a lane one after the other, so that early ones are not as late as the last', async () => {
    const fixture = new Fixture()
    const done: string[] = []
    for (const name of 'abc') {
      void Promise.resolve(fixture.budget.run('large', fixture.work(name, 40))).then(() => done.push(name))
    }
    const turnsUntil: number[] = []
    for (let turn = 1; fixture.turn(); turn++) {
      await nextTurn()
      while (turnsUntil.length < done.length) turnsUntil.push(turn)
    }
    assert.deepEqual(done, ['a', 'b', 'c'])
    assert.ok(turnsUntil[0]! < 15 && turnsUntil[2]! > 25, String(turnsUntil))
  })

  test('lets small work pass large work of its lane', async () => {
    const fixture = new Fixture()
    for (const name of 'abc') void fixture.budget.run('large', fixture.work(name, 100))
    fixture.turn()
    fixture.turn()
    assert.equal(await fixture.budget.run('large', fixture.work('s', 1)), 's')
  })

  test('gives lanes that wait the same number of slices', () => {
    const fixture = new Fixture()
    for (const name of 'abc') void fixture.budget.run('large', fixture.work(name, 100))
    void fixture.budget.run('other', fixture.work('x', 20))
    for (let turn = 0; turn < 10; turn++) fixture.turn()
    const shares = fixture.log.split('|').slice(2).join('')
    const of = (names: RegExp) => shares.match(names)?.length ?? 0
    assert.ok(Math.abs(of(/x/g) - of(/[abc]/g)) <= 3, shares)
  })

  test('keeps half of each turn for works that wait, however many new ones come', () => {
    const fixture = new Fixture()
    void fixture.budget.run('large', fixture.work('a', 1000))
    for (let turn = 0; turn < 20; turn++) {
      for (let i = 0; i < 10; i++) void fixture.budget.run('large', fixture.work('s', 1))
      fixture.turn()
    }
    assert.ok(fixture.log.match(/a/g)!.length >= 15, fixture.log)
  })

  test('proceeds by one slice in a turn even if slices are longer than the budget', async () => {
    const fixture = new Fixture()
    const works = Array.from('ab', name => fixture.budget.run('large', fixture.work(name, 2, 5)))
    fixture.turns()
    assert.deepEqual(await settled(works), ['a', 'b'])
  })

  test('asks for no turn when it has nothing to do', () => {
    const fixture = new Fixture()
    void fixture.budget.run('large', fixture.work('a', 1))
    fixture.turns()
    assert.equal(fixture.turn(), false)
  })

  test('throws the error of work that fails at once, and rejects if it fails later', async () => {
    const fixture = new Fixture()
    function* failing(slices: number): Sliced<never> {
      yield* fixture.work('f', slices)
      throw new Error('no')
    }
    assert.throws(() => fixture.budget.run('large', failing(1)), /no/)
    const later = fixture.budget.run('large', failing(10))
    const after = fixture.budget.run('large', fixture.work('a', 1))
    fixture.turns()
    await assert.rejects(async () => later, /no/)
    assert.equal(await after, 'a')
  })

  test('refuses work when its lane is full, and takes it again later', async () => {
    const fixture = new Fixture({ maxWaiting: 2 })
    const works = Array.from('ab', name => fixture.budget.run('large', fixture.work(name, 10)))
    assert.throws(
      () => fixture.budget.run('large', fixture.work('c', 1)),
      (error: ResponseError) => error.responseCode === SYSTEM_BUSY,
    )
    assert.ok(!fixture.log.includes('c'))
    void fixture.budget.run('other', fixture.work('x', 10))
    fixture.turns()
    assert.deepEqual(await settled(works), ['a', 'b'])
    assert.equal(fixture.budget.run('large', fixture.work('c', 1)), 'c')
  })

  test('settles all works when it is closed, and runs no other slice', async () => {
    const fixture = new Fixture()
    let released = 0
    function* releasing(): Sliced<void> {
      try {
        yield* fixture.work('r', 1000, 3)
      } finally {
        released++
      }
    }
    const works = [fixture.budget.run('large', releasing()), fixture.budget.run('other', fixture.work('x', 2, 3))]
    fixture.turn()
    const before = fixture.log
    fixture.budget[Symbol.dispose]()
    fixture.budget[Symbol.dispose]()
    fixture.turns()
    for (const { status } of await Promise.allSettled(works.map(async work => work))) assert.equal(status, 'rejected')
    assert.equal(fixture.log.replaceAll('|', ''), before.replaceAll('|', ''))
    assert.deepEqual([released, fixture.budget.waiting], [1, 0])
    assert.throws(() => fixture.budget.run('large', fixture.work('a', 1)), /shutting down/)
  })

  test('may be closed by one of its works', async () => {
    const fixture = new Fixture()
    function* closing(): Sliced<void> {
      yield* fixture.work('c', 5)
      fixture.budget[Symbol.dispose]()
      yield
    }
    const closed = fixture.budget.run('large', closing())
    fixture.turns()
    await assert.rejects(async () => closed, /shutting down/)
  })

  test('lets other work run between its turns', async () => {
    using budget = new TurnBudget<Lane>({ lanes: ['large', 'other'], budgetMs: 0.01 })
    let turns = 0
    const turn = (): void => {
      turns++
      if (budget.waiting > 0) setImmediate(turn)
    }
    setImmediate(turn)
    function* slices(): Sliced<number> {
      for (let i = 0; i < 5; i++) {
        const until = performance.now() + 0.05
        while (performance.now() < until);
        yield
      }
      return turns
    }
    assert.ok((await budget.run('large', slices())) >= 3)
  })
})
