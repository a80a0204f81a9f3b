// docs/configuration.md: every option, from the option table.
import type { AnyOption, OptionName, OptionSet, WhenChangeable } from '@gantrymq/daemon'
import { nameServerOptions } from '@gantrymq/namesrv'

const changes: Readonly<Record<WhenChangeable, string>> = {
  live: 'at once',
  restart: 'after a restart',
  refused: 'no',
  'black-listed': 'no, as in Apache',
}

const intro = `# Configuration

This page is generated from the option table of the name server (\`npm run docs\`).

An option can be given in three ways. What stands first counts most:

1. as a flag: \`--listen-port 9877\` or \`--listen-port=9877\`; \`--http-enabled\` and \`--no-http-enabled\` for booleans
2. as an environment variable: \`GANTRY_LISTEN_PORT=9877\`
3. in the file of \`-c\`, under Apache's key: \`listenPort=9877\`

The file is a \`.properties\` file and is read as Java reads it: ISO-8859-1 with \`\\uXXXX\` escapes, \`#\` and \`!\` for comments,
a backslash at the end of a line to continue it, the last of several lines with one key counts. Two things are better:

- Blanks around a value do not count. Apache keeps port 9876 when a blank follows the number in \`listenPort=9877\`, and reads
  \`true\` with a blank behind it as false.
- A value that is not what it should be ends the start with exit code 255; Apache goes on with the default. An unknown key is a
  warning that names the nearest known key.

Both messages name the file, the line and what would be right:

\`\`\`text
ns.conf:3: listenPort=98765: it must be a whole number from 0 to 65535
ns.conf:4: the key "enableTopicLists" is unknown and ignored; did you mean enableTopicList?
\`\`\`

\`mqadmin updateNamesrvConfig\` (code 318) changes options of a running server where the table says so, and keeps them in the file
of \`-c\`, else in \`configStorePath\`: only the lines of these keys change, and the file before is kept in \`<file>.bak\`. What names a
path, opens a port or limits abuse is refused with code 16, a bad value with code 1, and then nothing of the request is
applied. A change that cannot be written is refused as well. \`mqadmin getNamesrvConfig\` (code 319) shows all options, passwords
masked.

A server inside another program takes the same options by name: see [embedding.md](embedding.md).
`

/** The whole page. */
export function configurationDoc(): string {
  return intro + tables(nameServerOptions) + ignoredPart(nameServerOptions.ignored)
}

/** A table for each group of options. */
function tables<O>(set: OptionSet<O>): string {
  const groups = set.groups.map(({ title, names }) => {
    const rows = names.map(name => row(set, name))
    return `\n## ${title}\n\n${HEAD}\n${rows.join('\n')}\n`
  })
  return groups.join('')
}

const HEAD = `| key | type, default | meaning | changes at run time | since |
|---|---|---|---|---|`

function row<O>(set: OptionSet<O>, name: OptionName<O>): string {
  const option = set.option(name)
  const key = `\`${set.property(name)}\`<br>\`--${set.flag(name)}\`<br>\`${set.variable(name)}\``
  return `| ${key} | ${option.type}<br>${defaultText(option)} | ${meaningText(option)} | ${changes[option.change]} | ${sinceText(option)} |`
}

function defaultText(option: AnyOption): string {
  if (option.atHome !== undefined) return `\`${option.print(option.atHome('~'))}\``
  if (option.fallback === null) return 'none'
  const text = option.print(option.fallback)
  return text === '' ? 'none' : `\`${text}\``
}

function meaningText({ meaning, without, systemProperty, variable }: AnyOption): string {
  let text = meaning
  if (without !== undefined) text += ` Accepted and shown, without effect: ${without}.`
  if (systemProperty !== undefined) text += ` Apache's system property \`${systemProperty}\` is read from the file too.`
  if (variable !== undefined) text += ` The variable \`${variable}\` counts less than the file, as in Apache.`
  return text
}

function sinceText({ since }: AnyOption): string {
  return since === undefined ? 'only here' : `Apache ${since}`
}

function ignoredPart(ignored: ReadonlyMap<string, string>): string {
  const keysByReason = Map.groupBy(ignored.keys(), key => ignored.get(key)!)
  const parts = Array.from(keysByReason, ([because, keys]) => {
    return `\nA key that ${because}: ${keys.map(key => `\`${key}\``).join(', ')}.\n`
  })
  return `\n## Keys without meaning here\n\nThey are kept and shown, and a warning says that they do nothing.\n${parts.join('')}`
}
