import type { OptionName, OptionSet } from '@gantrymq/daemon'
import type { Program, ProgramOptions } from './program.ts'

const WIDTH = 110

/** What Apache's program of the same name prints for -h, letter for letter. */
export function apacheHelp<O extends ProgramOptions>({ name, apacheOptions }: Program<O>): string {
  const usage = apacheOptions.map(({ short, takesValue }) => `[-${short}${takesValue ? ' <arg>' : ''}]`).join(' ')
  const names = apacheOptions.map(({ short, long, takesValue }) => ` -${short},--${long}${takesValue ? ' <arg>' : ''}`)
  const width = Math.max(...names.map(each => each.length)) + 3
  const lines = apacheOptions.map(({ meaning }, index) => names[index]!.padEnd(width) + meaning)
  return `usage: ${name} ${usage}\n${lines.join('\n')}\n`
}

/** Apache's help, then every option of the table. */
export function fullHelp<O extends ProgramOptions>(program: Program<O>): string {
  const { options } = program
  const groups = options.groups.map(({ title, names }) => {
    return `\n${title.replaceAll('`', '')}\n${names.map(name => describe(options, name)).join('')}`
  })
  const intro =
    '\nIn addition, --version prints the version. Every option can be given as a flag, as an environment variable\n' +
    '(--listen-port is GANTRY_LISTEN_PORT) and in the config file (listenPort). A flag overrides the variable, and\n' +
    'the variable overrides the file.\n'
  return apacheHelp(program) + intro + groups.join('')
}

function describe<O>(options: OptionSet<O>, name: OptionName<O>): string {
  const option = options.option(name)
  const value = option.type === 'boolean' ? '' : ` <${option.type}>`
  const preset = option.fallback === null ? '' : ` (${option.print(option.fallback)})`
  const effect = option.without === undefined ? '' : ` No effect: ${option.without}.`
  return ` --${options.flag(name)}${value}\n${wrapped(option.meaning + effect + preset)}`
}

/** Wraps a text at blanks, and indents each line. */
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
