// Generates docs/protocol.md: every request, from its declaration.
import {
  authRequests,
  brokerAdminRequests,
  brokerNotices,
  clientNotices,
  connectionRequests,
  consumeRequests,
  groupRequests,
  membershipRequests,
  nameServerRequests,
  offsetRequests,
  plainAccessRequests,
  popRequests,
  queryRequests,
  requestNames,
  responseCodes,
  responseName,
  sendRequests,
  topicRequests,
} from '@gantrymq/protocol'
import { brokerRequests } from '../packages/broker/src/handlers/index.ts'
import { refusedRequests } from '../packages/broker/src/handlers/refused.ts'
import type { FieldTable, RequestDeclaration, RequestTable } from '@gantrymq/remoting'

const intro = `# Protocol

This page is generated from the request declarations of \`@gantrymq/protocol\` (\`npm run docs\`).

An optional header field that cannot be parsed counts as missing, as in Java. If a required one is missing or cannot be parsed,
the answer has code 1 and a remark that names it; Java fails with a null pointer exception. A request that a peer does not serve
is answered with code 3.
`

/** The whole page. */
export function protocolDoc(): string {
  return [
    intro,
    chapter('Requests to a name server', nameServerRequests),
    chapter('Requests of a name server to brokers', brokerNotices),
    chapter('Clients and their groups', membershipRequests),
    chapter('Sending', sendRequests),
    chapter('Pulling, offsets and locks', consumeRequests),
    chapter('Popping', popRequests),
    chapter('Finding messages and offsets', queryRequests),
    chapter('Requests of a broker to clients', clientNotices),
    chapter('Topics of a broker', topicRequests),
    chapter('Consumer groups', groupRequests),
    chapter('Offsets of groups', offsetRequests),
    chapter('Brokers', brokerAdminRequests),
    chapter('Clients connected to a broker', connectionRequests),
    chapter('Accounts of 4.9', plainAccessRequests),
    chapter('Users and permissions of 5.x', authRequests),
    served(),
    codes(),
  ].join('\n')
}

function chapter(title: string, table: RequestTable): string {
  const sections = Object.entries(table)
    .toSorted(([, a], [, b]) => a.code - b.code)
    .map(([name, declaration]) => section(name, declaration))
  return `## ${title}\n\n${sections.join('\n')}`
}

function section(name: string, { code, oneway, changes, purpose, header, body, reply }: RequestDeclaration): string {
  const remarks = [purpose, ...(oneway ? ['One-way: there is no answer.'] : []), ...signatureRemark(changes)]
  const lines = [`### ${code} ${name}`, '', remarks.join(' '), '']
  const parts = [
    ...fieldRows('request', header?.fields),
    ...bodyRow('request', body?.name),
    ...fieldRows('answer', reply?.header?.fields),
    ...bodyRow('answer', reply?.body?.name),
  ]
  if (reply?.codes) lines.push(`Answers have code 0 or ${reply.codes.map(answerCode).join(', ')}.`, '')
  if (parts.length > 0) lines.push('| in | name | type | |', '|---|---|---|---|', ...parts, '')
  return lines.join('\n')
}

function signatureRemark(changes: RequestDeclaration['changes']): string[] {
  if (changes === 'registration')
    return ['It may have to be signed: see `requireSignature` and `unsignedBrokerRanges`.']
  return changes === 'settings' ? ['It may have to be signed: see `requireSignature`.'] : []
}

function answerCode(code: number): string {
  return `${code} (${responseName(code)})`
}

function fieldRows(where: string, fields: FieldTable | undefined): string[] {
  return Object.entries(fields ?? {}).map(([name, field]) => {
    const presence = field.presence === 'defaulted' ? `default ${field.print(field.fallback)}` : field.presence
    const note = field.isStrict === true ? '; if it cannot be parsed: code 1' : ''
    return `| ${where} | \`${name}\` | ${field.type} | ${presence}${note} |`
  })
}

function bodyRow(where: string, name: string | undefined): string[] {
  return name === undefined ? [] : [`| ${where} | body | \`${name}\` | |`]
}

/** Served without a folder only. With one, QUERY_ASSIGNMENT assigns queues that are pulled. */
const inMemory = new Set<number>(
  [...Object.values(popRequests), sendRequests.RECALL_MESSAGE]
    .map(({ code }) => code)
    .filter(code => code !== popRequests.QUERY_ASSIGNMENT.code),
)
/** What a broker is to have one day. */
const PLANNED = /access control|slaves|in memory only/

function served(): string {
  const all = new Set([...Object.values(brokerRequests).map(({ code }) => code), ...refusedRequests.keys()])
  const rows = [...all]
    .toSorted((a, b) => a - b)
    .map(code => `| ${code} | ${requestNames.get(code) ?? ''} | ${whetherServed(code)} |`)
  return `## What Gantry's broker serves

These are the requests that brokers of Apache serve. Gantry's answers a refused one with code 3, \`request type N not supported\`, and the
reason. "Planned" means that it is to be served. Any other code gets code 3 without a reason.

| code | name | |
|---|---|---|
${rows.join('\n')}
`
}

function whetherServed(code: number): string {
  const reason = refusedRequests.get(code)
  if (reason !== undefined) return `refused: ${reason}${PLANNED.test(reason) ? '; planned' : ''}`
  return inMemory.has(code) ? 'served by a broker in memory; refused by one with a folder: planned' : 'served'
}

function codes(): string {
  const rows = Object.entries(responseCodes).map(([name, code]) => `| ${code} | ${name} |`)
  return `## Response codes\n\n| code | name |\n|---|---|\n${rows.join('\n')}\n`
}
