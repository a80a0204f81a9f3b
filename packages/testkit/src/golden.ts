import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Credentials } from '@gantrymq/remoting'

/** A request of an Apache program and the answer of an Apache name server, byte for byte. */
export interface GoldenExchange {
  /** The request's name, `REGISTER_BROKER` for example. */
  readonly name: string
  /** What the sender did, `a master and its slave` for example. */
  readonly scenario: string
  /** The program that sent the request. */
  readonly role: 'broker' | 'client' | 'mqadmin'
  /** The Apache release of the sender, `4.9.7` or `5.5.0`. */
  readonly sender: string
  /** The Apache release of the name server. */
  readonly server: string
  /** The whole frame, length word included. */
  readonly request: Buffer
  /** The whole frame. Null if the name server did not answer: a one-way request, or a code that 4.9 does not support. */
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

/** All exchanges recorded from Apache, in a stable order. `npm run -w interop capture` records them again. */
export function goldenExchanges(): GoldenExchange[] {
  return readdirSync(folder)
    .filter(file => file.endsWith('.json'))
    .toSorted()
    .flatMap(exchangesOf)
}

/** A single frame with a description. */
export interface GoldenFrame {
  readonly what: string
  readonly bytes: Buffer
}

/** All recorded frames, both requests and answers. */
export function goldenFrames(): GoldenFrame[] {
  return goldenExchanges().flatMap(({ name, scenario, role, sender, server, request, answer }) => {
    const what = `${name} of a ${sender} ${role} (${scenario}) to ${server}`
    const sent = { what, bytes: request }
    return answer ? [sent, { what: `answer to ${what}`, bytes: answer }] : [sent]
  })
}

/** A request to send a message, as Apache's RemotingCommand of a release encodes it: five properties, 14 bytes of body. */
export interface GoldenSend {
  readonly name: 'SEND_MESSAGE' | 'SEND_MESSAGE_V2'
  /** The Apache release of the encoder, `4.9.7` or `5.5.0`. */
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

/** A request of an Apache program that was given credentials. */
export interface GoldenSignedRequest {
  readonly name: string
  /** The program and its release, `mqadmin 4.9.7` for example. */
  readonly sender: string
  /** The whole frame, length word included. */
  readonly frame: Buffer
}

/** What brokers of 5.5.0 and mqadmin of both releases sign for a name server, in both header forms. */
export function goldenSignedRequests(): Credentials & { readonly requests: readonly GoldenSignedRequest[] } {
  const text = readFileSync(join(folder, 'signed', 'apache.json'), 'utf8')
  const { requests, ...credentials } = JSON.parse(text) as Credentials & {
    readonly requests: readonly (Omit<GoldenSignedRequest, 'frame'> & { readonly frame: string })[]
  }
  return { ...credentials, requests: requests.map(each => ({ ...each, frame: Buffer.from(each.frame, 'hex') })) }
}
