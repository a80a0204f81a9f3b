import { parseArgs } from 'node:util'
import { Admin, ClientError } from '@gantrymq/client'
import type { Surroundings } from '../program/program.ts'

const USAGE = `usage: gantry why TOPIC [-n host:port] [--zone ZONE] [--json]

Says why clients cannot use a topic, and what to do about it. It asks a name server of Gantry: the one of -n, else of NAMESRV_ADDR,
else 127.0.0.1:9876. The exit code is 0 if nothing is wrong with the topic, 1 if something is, and 2 if no one could say.`

const FINE = 0
const WRONG = 1
const UNKNOWN = 2
const LOCAL = '127.0.0.1:9876'

interface Question {
  readonly topic: string
  readonly nameServers: string
  readonly zone: string | undefined
  readonly json: boolean
}

/** Runs `gantry why`. @returns the exit code */
export async function runWhy({ args, environment, print, complain }: Surroundings): Promise<number> {
  const question = readQuestion(args, environment)
  if (typeof question === 'string') {
    complain(question)
    return UNKNOWN
  }
  try {
    const { code, message, hints, address } = await ask(question)
    if (question.json) print(JSON.stringify({ topic: question.topic, code, message, hints, nameServer: address }))
    else print([`${question.topic}: ${message} (${code})`, ...hints.map(hint => `  - ${hint}`)].join('\n'))
    return code === 'FOUND' ? FINE : WRONG
  } catch (error) {
    if (!(error instanceof ClientError)) throw error
    complain(`gantry why: ${error.message}`)
    return UNKNOWN
  }
}

/** The question, or what to print if there is none. */
function readQuestion(args: readonly string[], environment: Surroundings['environment']): Question | string {
  try {
    const { values, positionals } = parseArgs({
      args: [...args],
      allowPositionals: true,
      options: {
        namesrvAddr: { type: 'string', short: 'n' },
        zone: { type: 'string' },
        json: { type: 'boolean' },
        help: { type: 'boolean', short: 'h' },
      },
    })
    const [topic, ...more] = positionals
    if (topic === undefined || more.length > 0 || values.help === true) return USAGE
    const { namesrvAddr = environment['NAMESRV_ADDR'] ?? LOCAL, zone, json = false } = values
    return { topic, nameServers: namesrvAddr, zone, json }
  } catch (error) {
    return `gantry why: ${error instanceof Error ? error.message : String(error)}\n${USAGE}`
  }
}

async function ask({ topic, nameServers, zone }: Question) {
  const admin = await Admin.start({ nameServers, ...(zone !== undefined && { zone, zoneMode: 'true' }) })
  try {
    return await admin.topics.why(topic)
  } finally {
    await admin.close()
  }
}
