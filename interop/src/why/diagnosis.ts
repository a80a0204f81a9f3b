import assert from 'node:assert/strict'
import { eventually } from '../eventually.ts'

/** A broker registers its changes at once, but on a busy machine its answer to a command may take long. */
const REGISTERED_MS = 40_000

/** What the page `why` answers. */
export interface Diagnosis {
  readonly topic: string
  readonly code: string
  readonly message: string
  readonly hints: readonly string[]
}

/** A topic, and who asks for it. */
export interface Question {
  readonly topic: string
  /** The port of the name server that is asked. */
  readonly port: number
  readonly zone?: string
}

async function why({ topic, port, zone }: Question): Promise<Diagnosis> {
  const query = zone === undefined ? '' : `?zone=${encodeURIComponent(zone)}`
  const response = await fetch(`http://127.0.0.1:${port}/api/v1/topics/${encodeURIComponent(topic)}/why${query}`)
  return (await response.json()) as Diagnosis
}

/**
 * Waits until a name server gives this reason.
 * @param says Patterns that the message and the hints must match, in this order of importance.
 */
export async function whyIs(question: Question, code: string, ...says: readonly RegExp[]): Promise<Diagnosis> {
  let found: Diagnosis | undefined
  await eventually(async () => {
    const diagnosis = await why(question)
    const text = [diagnosis.message, ...diagnosis.hints].join('\n')
    assert.equal(diagnosis.code, code, text)
    let at = 0
    for (const pattern of says) {
      const next = text.slice(at).search(pattern)
      assert.ok(next >= 0, `${pattern} is missing or comes too late in:\n${text}`)
      at += next
    }
    assert.match(diagnosis.hints.at(-1) ?? '', /may be registered at another name server/)
    found = diagnosis
  }, REGISTERED_MS)
  return found ?? assert.fail('there is no answer')
}

/** A command in a hint: up to the end of its sentence, or the verb of which it is the subject. */
const COMMAND = /\bmqadmin (.+?)(?=\.(?:\s|$)| makes | lets )/

/** The arguments of the first command of mqadmin that the hints advise, as a shell would read them. */
export function advisedCommand({ hints }: Diagnosis): [name: string, ...args: string[]] {
  const text = hints.find(hint => COMMAND.test(hint)) ?? assert.fail(`no command in ${hints.join('\n')}`)
  const words = COMMAND.exec(text)?.[1]?.match(/'[^']*'|[^\s']+/g) ?? []
  const [name = '', ...args] = words.map(word => word.replaceAll("'", ''))
  return [name, ...args]
}
