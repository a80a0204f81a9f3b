// The clients of a storm, in a process of their own. Each asks for routes at a fixed rate: in turn for a topic of the standing
// broker and for one of the storm's brokers. Messages of the parent process start the phases.
//
// node clients.ts PORT CLIENTS EVERY_MS TOPICS
import { setTimeout as sleep } from 'node:timers/promises'
import { plainRequest, topicName } from '../load/plan.ts'
import { AskingConnection } from './asking-connection.ts'
import { Asked } from './asked.ts'
import type { Phase } from './size.ts'
import { STANDING_TOPICS, standingTopic } from './size.ts'

/** What the parent process sends: the phase that begins. After `end` the process reports and ends. */
export interface ClientsCommand {
  readonly phase: Phase | 'end'
}

const SUCCESS = 0
const TOPIC_NOT_EXIST = 17
/** How long the last questions may wait for their answers. */
const LAST_ANSWERS_MS = 30_000

/** A question and the codes of right answers. */
interface Question {
  readonly request: readonly [Buffer]
  readonly ofStorm: boolean
}

function questions(count: number, nameOf: (index: number) => string, ofStorm: boolean): Question[] {
  return Array.from({ length: count }, (_, i) => ({
    request: [plainRequest(105, { topic: nameOf(i) }, 1000 + i)] as const,
    ofStorm,
  }))
}

/** A client asks one question after the other. A question that is due while another waits counts from when it was due. */
class AskingClient {
  readonly #connection: AskingConnection
  readonly #due: { readonly question: Question; readonly since: number; readonly phase: Phase | undefined }[] = []
  #busy = false

  constructor(port: number) {
    this.#connection = new AskingConnection(port)
  }

  get busy(): boolean {
    return this.#busy
  }

  ask(question: Question): void {
    this.#due.push({ question, since: performance.now(), phase })
    if (!this.#busy) this.#askNext()
  }

  #askNext(): void {
    const next = this.#due.shift()
    if (!next) return
    const { question, since } = next
    this.#busy = true
    this.#connection.ask(question.request, code => {
      this.#busy = false
      if (next.phase) asked.add(next.phase, (performance.now() - since) * 1000, failureOf(question, code, next.phase))
      if (code === undefined) for (const each of this.#due.splice(0)) if (each.phase) asked.add(each.phase, 0, 'ended')
      this.#askNext()
    })
  }
}

/** Why an answer is wrong; undefined if it is right. The topics of the storm exist while its brokers are registered. */
function failureOf({ ofStorm }: Question, code: number | undefined, asking: Phase): string | undefined {
  if (code === undefined) return 'the server closed the connection'
  if (code === SUCCESS || (ofStorm && code === TOPIC_NOT_EXIST && asking !== 'registered')) return undefined
  return `code ${code} for a topic of ${ofStorm ? 'the storm' : 'the standing broker'}`
}

const [port = 0, count = 0, everyMs = 0, topics = 0] = process.argv.slice(2).map(Number)
const standing = questions(STANDING_TOPICS, standingTopic, false)
const ofStorm = questions(topics, topicName, true)
const asked = new Asked()
let phase: Phase | undefined
const end = new AbortController()
const clients = Array.from({ length: count }, () => new AskingClient(port))

function questionOf(turn: number): Question {
  // Each client alternates between both kinds, although their number may be even.
  const kind = (turn + Math.floor(turn / count)) % 2 === 0 ? standing : ofStorm
  return kind[turn % kind.length] as Question
}

process.on('message', ({ phase: next }: ClientsCommand) => {
  asked.begin(next === 'end' ? undefined : next, performance.now())
  phase = next === 'end' ? undefined : next
  if (next === 'end') end.abort()
})
process.on('disconnect', () => process.exit())

const begin = performance.now()
for (let turn = 0; !end.signal.aborted; ) {
  const now = performance.now()
  for (; begin + (turn * everyMs) / count <= now; turn++) clients[turn % count]?.ask(questionOf(turn))
  await sleep(1)
}
const deadline = performance.now() + LAST_ANSWERS_MS
while (clients.some(client => client.busy) && performance.now() < deadline) await sleep(10)
process.send?.(asked.figures(), () => process.exit())
