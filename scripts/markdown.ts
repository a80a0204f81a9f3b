// Parses Markdown for the tests of the documentation: code blocks, links, headings, tables.
import { globSync, readFileSync } from 'node:fs'

/** A fenced code block. An HTML comment on the line above it tells the tests what to do with it. */
export interface Block {
  readonly language: string
  readonly text: string
  /** The line of the opening fence, from 1. */
  readonly line: number
  /** The text of the comment above the fence, `not run: …` for example; empty if there is none. */
  readonly note: string
}

/** The paths of all documents, relative to the root of the repository. */
export function documents(): string[] {
  return globSync([
    '*.md',
    'docs/**/*.md',
    'packages/*/*.md',
    'examples/*.md',
    'interop/*.md',
    'deploy/*.md',
    'benchmarks/*.md',
  ]).sort()
}

export function blocksOf(markdown: string): Block[] {
  const blocks: Block[] = []
  const lines = markdown.split('\n')
  for (let at = 0; at < lines.length; at++) {
    const language = /^```(\w+)$/.exec(lines[at] ?? '')?.[1]
    if (language === undefined) continue
    const end = lines.indexOf('```', at)
    if (end < 0) throw new Error(`the block at line ${at + 1} has no end`)
    const note = /^<!-- (.*) -->$/.exec(lines[at - 1] ?? '')?.[1] ?? ''
    blocks.push({ language, text: lines.slice(at + 1, end).join('\n'), line: at + 1, note })
    at = end
  }
  return blocks
}

function withoutBlocks(markdown: string): string {
  return markdown.replaceAll(/^```[^]*?^```$/gm, '').replaceAll(/`[^`\n]*`/g, code => code.replaceAll(/[[\]()]/g, ''))
}

/** The targets of `[text](target)`, except those in code. */
export function linksOf(markdown: string): string[] {
  return [...withoutBlocks(markdown).matchAll(/\]\(([^)\s]+)\)/g)].map(match => match[1] ?? '')
}

/** The anchors of headings, as GitHub generates them. */
export function anchorsOf(markdown: string): string[] {
  const headings = markdown.replaceAll(/^```[^]*?^```$/gm, '').matchAll(/^#+ (.+)$/gm)
  return [...headings].map(([, title = '']) =>
    title
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

/** The cells of the first table below a heading, without code marks. */
export function tableBelow(markdown: string, heading: string): string[][] {
  const section = `\n${markdown}`.split(`\n${heading}\n`)[1] ?? ''
  const rows = /(?:^\|.*\n?)+/m.exec(section)?.[0].trimEnd().split('\n') ?? []
  return rows.slice(2).map(row =>
    row
      .slice(1, -1)
      .split('|')
      .map(cell => cell.trim().replaceAll('`', '')),
  )
}

export function readDocument(path: string): string {
  return readFileSync(path, 'utf8')
}
