// Reads what the tests of the documentation need from a Markdown file: its code blocks, its links, its headings.
import { globSync, readFileSync } from 'node:fs'

/** A fenced block. What it is for the tests is said by an HTML comment on the line above it. */
export interface Block {
  readonly language: string
  readonly text: string
  /** Of the opening fence, counted from 1. */
  readonly line: number
  /** Text of the comment above the fence, such as `not run: …`. */
  readonly note: string
}

/** The documents people read, from the root of the repository. */
export function documents(): string[] {
  return globSync([
    '*.md',
    'docs/**/*.md',
    'packages/*/*.md',
    'examples/*.md',
    'interop/*.md',
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
    if (end < 0) throw new Error(`the block of line ${at + 1} is not closed`)
    const note = /^<!-- (.*) -->$/.exec(lines[at - 1] ?? '')?.[1] ?? ''
    blocks.push({ language, text: lines.slice(at + 1, end).join('\n'), line: at + 1, note })
    at = end
  }
  return blocks
}

function withoutBlocks(markdown: string): string {
  return markdown.replaceAll(/^```[^]*?^```$/gm, '').replaceAll(/`[^`\n]*`/g, code => code.replaceAll(/[[\]()]/g, ''))
}

/** Targets of `[text](target)`, those in code left out. */
export function linksOf(markdown: string): string[] {
  return [...withoutBlocks(markdown).matchAll(/\]\(([^)\s]+)\)/g)].map(match => match[1] ?? '')
}

/** The names under which headings can be linked to, as GitHub makes them. */
export function anchorsOf(markdown: string): string[] {
  const headings = markdown.replaceAll(/^```[^]*?^```$/gm, '').matchAll(/^#+ (.+)$/gm)
  return [...headings].map(([, title = '']) =>
    title
      .toLowerCase()
      .replaceAll(/[^\p{L}\p{N} _-]/gu, '')
      .replaceAll(' ', '-'),
  )
}

/** Rows of the first table below a heading, cell by cell, code marks taken off. */
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
