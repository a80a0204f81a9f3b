// docs/client-options.md: every option of the client, from its option tables and the comments above the options.
import { readFileSync } from 'node:fs'
import { adminOptions } from '../packages/client/src/admin/admin.ts'
import { litePullOptions } from '../packages/client/src/consumer/lite-pull/options.ts'
import { pullOptions } from '../packages/client/src/consumer/pull-consumer.ts'
import { pushOptions } from '../packages/client/src/consumer/push/settings.ts'
import { simpleOptions } from '../packages/client/src/consumer/simple-consumer.ts'
import { instanceOptions } from '../packages/client/src/instance/instance-options.ts'
import type { DeclaredOption, DeclaredOptions } from '../packages/client/src/options.ts'
import { producerOptions } from '../packages/client/src/producer/producer-options.ts'

interface OptionPage {
  readonly title: string
  /** Text about the options that are not in the table, because their types depend on each other. */
  readonly note: string
  /** Below packages/client/src. */
  readonly file: string
  readonly table: DeclaredOptions
}

const groupNote = 'In addition, `group` is required, and `codec` decodes bodies.'

/** All tables, in the order of the page. */
export const optionPages: readonly OptionPage[] = [
  { title: 'All of them', note: '', file: 'instance/instance-options.ts', table: instanceOptions },
  {
    title: 'Producer',
    note: 'In addition, `group` is required, `codec` encodes bodies, and `checkTransaction` answers the checks of transactions.',
    file: 'producer/producer-options.ts',
    table: producerOptions,
  },
  {
    title: 'PushConsumer',
    note: 'In addition, `group` and `subscriptions` are required. [client.md](client.md#push-consumer) describes `codec`, `onMessage`, `onMessages` and `onQueues`.',
    file: 'consumer/push/settings.ts',
    table: pushOptions,
  },
  {
    title: 'LitePullConsumer',
    note: `${groupNote} \`subscriptions\` and \`onQueues\` are those of push consumers.`,
    file: 'consumer/lite-pull/options.ts',
    table: litePullOptions,
  },
  {
    title: 'PullConsumer',
    note: `${groupNote} \`topics\` has the topics whose queues the group shares.`,
    file: 'consumer/pull-consumer.ts',
    table: pullOptions,
  },
  {
    title: 'SimpleConsumer',
    note: `${groupNote} \`subscriptions\` is required, too.`,
    file: 'consumer/simple-consumer.ts',
    table: simpleOptions,
  },
  { title: 'Admin', note: '', file: 'admin/admin.ts', table: adminOptions },
]

const intro = `# Options of the client

This page is generated from the option tables of the client (\`npm run docs\`). Every option in the tables is optional. A wrong
value or an unknown option throws a \`ClientError\` with code \`BAD_OPTION\`, which names the option, the given value and the
accepted values. Times are milliseconds.
`

/** The comments above the options of a file, by the name of the option. */
function meaningsOf(file: string): ReadonlyMap<string, string> {
  const source = readFileSync(new URL(`../packages/client/src/${file}`, import.meta.url), 'utf8')
  const comments = source.matchAll(/\/\*\*((?:(?!\*\/)[^])*)\*\/\s+(\w+): \w+[<(,]/g)
  return new Map([...comments].map(([, text = '', name = '']) => [name, text.replaceAll(/\s*\n\s*\* ?/g, ' ').trim()]))
}

/** The comment of an option, also if its table shares it with another table. */
export function meaningOf(page: OptionPage, name: string): string {
  const same = optionPages.filter(({ table }) => table[name] === page.table[name])
  const found = [page, ...same].map(({ file }) => meaningsOf(file).get(name)).find(text => text !== undefined)
  return found ?? ''
}

const inCell = (text: string): string => text.replaceAll('|', String.raw`\|`)

function row(name: string, { expected, java }: DeclaredOption<unknown>, meaning: string): string {
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
