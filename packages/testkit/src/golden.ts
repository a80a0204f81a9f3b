import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'

/** A request of a real Apache program and the answer of a real Apache name server, byte for byte. */
export interface GoldenExchange {
  /** The request's name, `REGISTER_BROKER`. */
  readonly name: string
  /** What the sender was doing, `a master and its slave`. */
  readonly scenario: string
  /** Who sent the request. */
  readonly role: 'broker' | 'client' | 'mqadmin'
  /** Apache release of the sender, `4.9.7` or `5.5.0`. */
  readonly sender: string
  /** Apache release of the name server that answered. */
  readonly server: string
  /** The whole frame, length word included. */
  readonly request: Buffer
  /** The whole frame; null where the name server did not answer: a one-way request, or a code that 4.9 does not know. */
  readonly answer: Buffer | null
}

interface GoldenFile extends Pick<GoldenExchange, 'role' | 'sender' | 'server'> {
  readonly exchanges: readonly {
    readonly name: string
    readonly scenario: string
    readonly request: string
    readonly answer: string | null
  }[]
}

const folder = join(import.meta.dirname, '..', 'golden')

function exchangesOf(file: string): GoldenExchange[] {
  const { role, sender, server, exchanges } = JSON.parse(readFileSync(join(folder, file), 'utf8')) as GoldenFile
  return exchanges.map(({ name, scenario, request, answer }) => ({
    name,
    scenario,
    role,
    sender,
    server,
    request: Buffer.from(request, 'hex'),
    answer: answer === null ? null : Buffer.from(answer, 'hex'),
  }))
}

/** All exchanges captured from Apache, in a stable order. `npm run -w interop capture` renews them. */
export function goldenExchanges(): GoldenExchange[] {
  return readdirSync(folder)
    .filter(file => file.endsWith('.json'))
    .toSorted()
    .flatMap(exchangesOf)
}

/** A frame alone, with words that say where it is from. */
export interface GoldenFrame {
  readonly what: string
  readonly bytes: Buffer
}

/** Each captured frame, requests and answers alike. */
export function goldenFrames(): GoldenFrame[] {
  return goldenExchanges().flatMap(({ name, scenario, role, sender, server, request, answer }) => {
    const what = `${name} of a ${sender} ${role} (${scenario}) to ${server}`
    const asked = { what, bytes: request }
    return answer ? [asked, { what: `answer to ${what}`, bytes: answer }] : [asked]
  })
}

/** A request to send a message, as Apache's RemotingCommand of a release encodes it: five properties, 14 bytes of body. */
export interface GoldenSend {
  readonly name: 'SEND_MESSAGE' | 'SEND_MESSAGE_V2'
  /** Apache release of the encoder, `4.9.7` or `5.5.0`. */
  readonly sender: string
  readonly serializeType: 'JSON' | 'ROCKETMQ'
  /** The whole frame, length word included. */
  readonly frame: Buffer
}

/** Both requests, in both header forms, of both releases. */
export function goldenSends(): GoldenSend[] {
  const sends = JSON.parse(readFileSync(join(folder, 'sends', 'apache.json'), 'utf8')) as (Omit<GoldenSend, 'frame'> & {
    readonly frame: string
  })[]
  return sends.map(send => ({ ...send, frame: Buffer.from(send.frame, 'hex') }))
}
