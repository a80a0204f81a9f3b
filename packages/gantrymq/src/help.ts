import type { OptionName } from '@gantrymq/daemon'
import { type NameServerOptions, nameServerOptions } from '@gantrymq/namesrv'
import { apacheOptions } from './command-line.ts'

const WIDTH = 110

/** What Apache's mqnamesrv prints for -h, letter for letter. */
export function apacheHelp(): string {
  const usage = apacheOptions.map(({ short, takesValue }) => `[-${short}${takesValue ? ' <arg>' : ''}]`).join(' ')
  const names = apacheOptions.map(({ short, long, takesValue }) => ` -${short},--${long}${takesValue ? ' <arg>' : ''}`)
  const width = Math.max(...names.map(name => name.length)) + 3
  const lines = apacheOptions.map(({ meaning }, index) => names[index]!.padEnd(width) + meaning)
  return `usage: mqnamesrv ${usage}\n${lines.join('\n')}\n`
}

/** Apache's help, then every option of the table. */
export function fullHelp(): string {
  const groups = nameServerOptions.groups.map(({ title, names }) => {
    return `\n${title.replaceAll('`', '')}\n${names.map(describe).join('')}`
  })
  const intro =
    '\nEvery option can be given as a flag, as an environment variable (--listen-port is GANTRY_LISTEN_PORT)\n' +
    'and in the config file (listenPort). What stands first here counts most.\n'
  return apacheHelp() + intro + groups.join('')
}

function describe(name: OptionName<NameServerOptions>): string {
  const option = nameServerOptions.option(name)
  const value = option.type === 'boolean' ? '' : ` <${option.type}>`
  const preset = option.fallback === null ? '' : ` (${option.print(option.fallback)})`
  const effect = option.without === undefined ? '' : ` No effect: ${option.without}.`
  return ` --${nameServerOptions.flag(name)}${value}\n${wrapped(option.meaning + effect + preset)}`
}

/** Cut at blanks, each line indented. */
function wrapped(text: string): string {
  let lines = ''
  let line = '   '
  for (const word of text.split(' ')) {
    if (line.length + word.length + 1 > WIDTH) {
      lines += `${line}\n`
      line = '   '
    }
    line += ` ${word}`
  }
  return `${lines}${line}\n`
}
