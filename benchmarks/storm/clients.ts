// The clients of a storm, in a process of their own. Each asks for routes at a fixed rate: in turn for a topic of the standing
// broker and for one of the storm's brokers. Messages of the parent process start the phases.
//
// node clients.ts PORT CLIENTS EVERY_MS TOPICS
import { setTimeout as sleep } from 'node:timers/promises'
import { plainRequest, topicName } from '../name-server/plan.ts'
import { AskingClient } from './asking-client.ts'
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

/** A question, and whether it is for a topic of the storm's brokers. */
interface Question {
  readonly request: readonly Buffer[]
  readonly ofStorm: boolean
}

function questions(count: number, nameOf: (index: number) => string, ofStorm: boolean): Question[] {
  return Array.from({ length: count }, (_, i) => ({
    request: [plainRequest(105, { topic: nameOf(i) }, 1000 + i)],
    ofStorm,
  }))
}

function ask(client: AskingClient | undefined, question: Question): void {
  const due = phase
  client?.ask({
    request: question.request,
    onAnswer: (us, code) => {
      if (due) asked.add(due, us, failureOf(question, code, due))
    },
  })
}

/** Why an answer is wrong; undefined if it is right. The topics of the storm exist while its brokers are registered. */
function failureOf({ ofStorm }: Question, code: number | undefined, asking: Phase): string | undefined {
  if (code === undefined) return 'no answer before the end of the connection'
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
  for (; begin + (turn * everyMs) / count <= now; turn++) ask(clients[turn % count], questionOf(turn))
  await sleep(1)
}
const deadline = performance.now() + LAST_ANSWERS_MS
while (clients.some(client => client.isBusy) && performance.now() < deadline) await sleep(10)
for (const client of clients) client.close()
process.send?.(asked.figures(), () => process.exit())
