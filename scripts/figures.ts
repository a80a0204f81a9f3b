// Prints the largest files and the longest functions, for reviews.
import { Visitor } from 'oxc-parser'
import { isTest, readSource, type Source, sourceFiles } from './sources.ts'

interface Figure {
  readonly lines: number
  readonly where: string
}

interface Span {
  readonly start: number
  readonly end: number
}

/** The functions of a file that have at least two lines. */
function functionsOf({ path, text, syntax }: Source): Figure[] {
  const found: Figure[] = []
  const note = (name: string, { start, end }: Span) => {
    const lines = text.slice(start, end).split('\n').length
    const line = text.slice(0, start).split('\n').length
    if (lines > 1) found.push({ lines, where: `${path}:${line}  ${name}` })
  }
  new Visitor({
    FunctionDeclaration: node => note(node.id?.name ?? 'function', node),
    MethodDefinition: node => note(text.slice(node.key.start, node.key.end), node),
    Property: node => {
      if (/Function/.test(node.value.type)) note(text.slice(node.key.start, node.key.end), node)
    },
    VariableDeclarator: node => {
      if (node.init && /Function/.test(node.init.type)) note(text.slice(node.id.start, node.id.end), node)
    },
  }).visit(syntax.program)
  return found
}

const longest = (a: Figure, b: Figure) => b.lines - a.lines

function spread(figures: readonly Figure[]): string {
  const lines = figures.map(figure => figure.lines).sort((a, b) => a - b)
  const at = (share: number) => lines[Math.min(lines.length - 1, Math.floor(lines.length * share))] ?? 0
  return `${lines.length}, median ${at(0.5)}, p90 ${at(0.9)}, longest ${at(1)} lines`
}

function show(title: string, figures: readonly Figure[]): void {
  console.log(`\n${title}: ${spread(figures)}`)
  for (const { lines, where } of figures.toSorted(longest).slice(0, 12)) {
    console.log(`${String(lines).padStart(5)}  ${where}`)
  }
}

function report(title: string, paths: readonly string[]): void {
  const sources = paths.map(readSource)
  const files = sources.map(({ path, text }) => ({ lines: text.split('\n').length - 1, where: path }))
  show(`${title}, files`, files)
  show(`${title}, functions`, sources.flatMap(functionsOf))
}

const paths = sourceFiles('packages', 'interop', 'benchmarks', 'examples', 'scripts', 'docs')
report(
  'Sources',
  paths.filter(path => !isTest(path)),
)
report('Tests', paths.filter(isTest))
