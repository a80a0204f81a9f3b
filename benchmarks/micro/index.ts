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

/** Measures the functions whose case name contains one of the words, and prints a table row by row. */
export async function runMicro(words: readonly string[]): Promise<void> {
  console.log(`| ${columns.join(' | ')} |\n| --- | ---: | ---: | ---: |`)
  const cases = [...frameCases(), ...sendCases(), ...(await appendCases()), ...messageCases(), ...registryCases()]
  for (const one of cases) {
    if (words.length === 0 || words.some(word => one.name.includes(word))) console.log(row(measure(one)))
  }
}
