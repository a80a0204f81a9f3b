// docs/client-options.md: every option of the client, from its option tables and the comments that stand above them there.
import { readFileSync } from 'node:fs'
import { adminOptions } from '../packages/client/src/admin/admin.ts'
import { litePullOptions } from '../packages/client/src/consumer/lite-pull/options.ts'
import { pullOptions } from '../packages/client/src/consumer/pull-consumer.ts'
import { pushOptions } from '../packages/client/src/consumer/push/settings.ts'
import { simpleOptions } from '../packages/client/src/consumer/simple-consumer.ts'
import { instanceOptions } from '../packages/client/src/instance/instance-options.ts'
import type { Option, OptionTable } from '../packages/client/src/options.ts'
import { producerOptions } from '../packages/client/src/producer/producer-options.ts'

interface OptionPage {
  readonly title: string
  /** What stands beside the table: in code, not in a table, as their types depend on each other. */
  readonly note: string
  /** Below packages/client/src. */
  readonly file: string
  readonly table: OptionTable
}

const groupNote = 'Besides, `group` is needed, and `codec` makes bodies of bytes.'

/** All tables, in the order of the page. */
export const optionPages: readonly OptionPage[] = [
  { title: 'All of them', note: '', file: 'instance/instance-options.ts', table: instanceOptions },
  {
    title: 'Producer',
    note: 'Besides, `group` is needed, `codec` makes bytes of bodies, and `checkTransaction` answers for transactions.',
    file: 'producer/producer-options.ts',
    table: producerOptions,
  },
  {
    title: 'PushConsumer',
    note: 'Besides, `group` and `subscriptions` are needed; `codec`, `onMessage` or `onMessages`, and `onQueues` are described in [client.md](client.md#push-consumer).',
    file: 'consumer/push/settings.ts',
    table: pushOptions,
  },
  {
    title: 'LitePullConsumer',
    note: `${groupNote} \`subscriptions\` and \`onQueues\` are as for push consumers.`,
    file: 'consumer/lite-pull/options.ts',
    table: litePullOptions,
  },
  {
    title: 'PullConsumer',
    note: `${groupNote} \`topics\` names those whose queues are shared out.`,
    file: 'consumer/pull-consumer.ts',
    table: pullOptions,
  },
  {
    title: 'SimpleConsumer',
    note: `${groupNote} \`subscriptions\` are needed too.`,
    file: 'consumer/simple-consumer.ts',
    table: simpleOptions,
  },
  { title: 'Admin', note: '', file: 'admin/admin.ts', table: adminOptions },
]

const intro = `# Options of the client

This page is generated from the option tables of the client (\`npm run docs\`). Every option of the tables may be left out. A wrong
value throws a \`ClientError\` with code \`BAD_OPTION\` that names the option, what was given and what would be right; so does an
option that does not exist. Times are milliseconds.
`

/** Sentences above the options of a file, by name. */
function meaningsOf(file: string): ReadonlyMap<string, string> {
  const source = readFileSync(new URL(`../packages/client/src/${file}`, import.meta.url), 'utf8')
  const comments = source.matchAll(/\/\*\*((?:(?!\*\/)[^])*)\*\/\s+(\w+): \w+[<(,]/g)
  return new Map([...comments].map(([, text = '', name = '']) => [name, text.replaceAll(/\s*\n\s*\* ?/g, ' ').trim()]))
}

/** The sentence of an option, also where its table took it from another. */
export function meaningOf(page: OptionPage, name: string): string {
  const same = optionPages.filter(({ table }) => table[name] === page.table[name])
  const found = [page, ...same].map(({ file }) => meaningsOf(file).get(name)).find(text => text !== undefined)
  return found ?? ''
}

const inCell = (text: string): string => text.replaceAll('|', String.raw`\|`)

function row(name: string, { expected, java }: Option<unknown>, meaning: string): string {
  return `| \`${name}\` | ${inCell(meaning)} | ${inCell(expected)} | ${java === null ? '' : `\`${java}\``} |`
}

/** The whole page. */
export function clientOptionsDoc(): string {
  const parts = optionPages.map(page => {
    const rows = Object.entries(page.table).map(([name, option]) => row(name, option, meaningOf(page, name)))
    const head = '| option | meaning | takes | in the Java client |\n|---|---|---|---|'
    const note = page.note === '' ? '' : `${page.note}\n\n`
    return `\n## ${page.title}\n\n${note}${head}\n${rows.join('\n')}\n`
  })
  return intro + parts.join('')
}
