import { appendCases } from './appends.ts'
import { frameCases } from './frames.ts'
import { measure, type MicroResult } from './measure.ts'
import { messageCases } from './messages.ts'
import { registryCases } from './registry.ts'
import { sendCases } from './sends.ts'

const columns = ['ns', 'p50', 'p99', 'best']

function row({ name, p50Ns, p99Ns, minNs }: MicroResult): string {
  const cells = [p50Ns, p99Ns, minNs].map(ns => (ns >= 100 ? Math.round(ns) : Number(ns.toPrecision(3))))
  return `| ${[name, ...cells].join(' | ')} |`
}

/** Measures the functions whose case name contains one of the words, and prints a table row by row. @throws Error without any */
export async function runMicro(words: readonly string[]): Promise<void> {
  const all = [...frameCases(), ...sendCases(), ...(await appendCases()), ...messageCases(), ...registryCases()]
  const cases = all.filter(({ name }) => words.length === 0 || words.some(word => name.includes(word)))
  if (cases.length === 0) throw new Error(`no case has a name with ${words.join(' or ')}`)
  console.log(`| ${columns.join(' | ')} |\n| --- | ---: | ---: | ---: |`)
  for (const one of cases) console.log(row(measure(one)))
}
