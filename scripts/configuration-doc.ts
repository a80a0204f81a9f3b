// docs/configuration.md and docs/broker-options.md: every option of the name server and of the broker, from their option tables.
import type { AnyOption, OptionName, OptionSet, WhenChangeable } from '@gantrymq/daemon'
import { brokerOptions } from '@gantrymq/broker'
import { nameServerOptions } from '@gantrymq/namesrv'

const changes: Readonly<Record<WhenChangeable, string>> = {
  live: 'at once',
  restart: 'after a restart',
  refused: 'no',
  'black-listed': 'no, as in Apache',
}

const intro = `# Configuration

This page is generated from the option table of the name server (\`npm run docs\`).

There are three ways to set an option. The first in this list takes precedence:

1. as a flag: \`--listen-port 9877\` or \`--listen-port=9877\`; \`--http-enabled\` and \`--no-http-enabled\` for booleans
2. as an environment variable: \`GANTRY_LISTEN_PORT=9877\`
3. in the file of \`-c\`, under Apache's key: \`listenPort=9877\`

The file is a \`.properties\` file, parsed as Java parses it: ISO-8859-1 with \`\\uXXXX\` escapes, \`#\` and \`!\` for comments,
a backslash at the end of a line to continue it. If several lines have the same key, the last one counts. Four things are better
than in Apache:

- Blanks around a value are ignored. Apache keeps port 9876 if a blank follows the number in \`listenPort=9877\`, and reads
  \`true\` with a trailing blank as false.
- A wrong value ends the start with exit code 255; Apache uses the default instead. For an unknown key the log has a warning with
  the most similar known key.
- A byte order mark at the beginning is skipped, with a warning; Apache takes it for a part of the first key. A file in UTF-16 ends
  the start.
- A single backslash in a path ends the start, because it would escape the next character: write \`C:/data\` or \`C:\\\\data\`.

The messages about values and keys name the file, the line and what is expected:

\`\`\`text
ns.conf:3: listenPort=98765: it must be a whole number from 0 to 65535
ns.conf:4: the key "enableTopicLists" is unknown and ignored; did you mean enableTopicList?
\`\`\`

\`mqadmin updateNamesrvConfig\` (code 318) changes the options of a running server that the table marks as changeable, and stores
them in the file of \`-c\` or, without one, in \`configStorePath\`. Only the lines of these keys change; \`<file>.bak\` has the file
before the change. The server refuses options with paths, ports or limits against abuse, and options that could stop its answers,
with code 16, and wrong values with code 1; then no change of the request takes effect. It also refuses a change that it cannot
store. \`mqadmin getNamesrvConfig\` (code 319) shows all options, with passwords masked.

A server in another program takes the same options by name: see [embedding.md](embedding.md).
`

/** The whole page. */
export function configurationDoc(): string {
  return intro + tables(nameServerOptions) + ignoredPart(nameServerOptions.ignored)
}

const brokerIntro = `# Options of the broker

This page is generated from the option table of the broker (\`npm run docs\`).

Options are set as those of the name server ([configuration.md](configuration.md)): as a flag, as an environment variable, or in the
file of \`-c\`, under Apache's key. \`-n\` sets \`namesrvAddr\`, and \`-p\` and \`-m\` print all or the important options. A
\`broker.conf\` of Apache works unchanged. Where it asks for something that this broker does not have and that an operator must not
miss, such as access control or a slave, the broker does not start and says why; every other key without effect is in the list at the
end, with the reason, and in the log.

\`mqadmin updateBrokerConfig\` (code 25) changes the options that the table marks as changeable, and \`mqadmin getBrokerConfig\`
(code 26) shows all of them.
`

/** The page of the broker's options. */
export function brokerOptionsDoc(): string {
  return brokerIntro + tables(brokerOptions) + ignoredPart(brokerOptions.ignored)
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
  if (option.defaultText !== undefined) return option.defaultText
  if (option.atHome !== undefined) return `\`${option.print(option.atHome('~'))}\``
  if (option.fallback === null) return 'none'
  const text = option.print(option.fallback)
  return text === '' ? 'none' : `\`${text}\``
}

function meaningText({ meaning, without, systemProperty, variable }: AnyOption): string {
  let text = meaning
  if (without !== undefined) text += ` Accepted and shown, but without effect: ${without}.`
  if (systemProperty !== undefined)
    text += ` Apache's system property \`${systemProperty}\` is read from the file, too.`
  if (variable !== undefined) text += ` The file takes precedence over the variable \`${variable}\`, as in Apache.`
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
  return `\n## Keys without effect\n\nThe server keeps and shows these keys, and logs a warning that they have no effect.\n${parts.join('')}`
}
