// Builds elements from data. Text becomes text nodes only: names come from peers, and nothing here reads HTML.

export type Content = Node | string | number | undefined | readonly Content[]

/** An element with attributes and content. */
export function element(tag: string, attributes: Readonly<Record<string, string>>, ...content: Content[]): HTMLElement {
  const made = document.createElement(tag)
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, value)
  append(made, content)
  return made
}

function append(parent: Node, content: Content): void {
  if (content === undefined) return
  if (content instanceof Node) parent.appendChild(content)
  else if (typeof content === 'object') for (const each of content) append(parent, each)
  else parent.appendChild(document.createTextNode(String(content)))
}

/** A name that a peer chose: apart from the direction of the text around it, its invisible characters as escapes. */
export function name(text: string): HTMLElement {
  return element('bdi', {}, visible(text))
}

/** Controls, marks of direction and joiners, which would hide a part of a name or reorder it. */
export function visible(text: string): string {
  return text.replace(/[\p{Cc}\p{Cf}\u2028\u2029]/gu, each => `\\u{${each.codePointAt(0)?.toString(16)}}`)
}

/** A link to a view of this page: `#/topics/Orders`. */
export function link(view: readonly string[], content: Content): HTMLElement {
  return element('a', { href: hashOf(view) }, content)
}

export function hashOf(view: readonly string[]): string {
  return `#/${view.map(encodeURIComponent).join('/')}`
}

export interface Column<T> {
  readonly title: string
  readonly cell: (row: T) => Content
  readonly isNumber?: boolean
}

/** A table, or a sentence in its place if there are no rows. */
export function table<T>(rows: readonly T[], columns: readonly Column<T>[], none: string): HTMLElement {
  if (rows.length === 0) return element('p', { class: 'quiet' }, none)
  const look = ({ isNumber = false }: Column<T>) => (isNumber ? { class: 'number' } : {})
  const head = columns.map(column => element('th', { scope: 'col', ...look(column) }, column.title))
  const body = rows.map(row =>
    element(
      'tr',
      {},
      columns.map(column => element('td', look(column), column.cell(row))),
    ),
  )
  const whole = element('table', {}, element('thead', {}, element('tr', {}, head)), element('tbody', {}, body))
  return element('div', { class: 'table' }, whole)
}

/** 1234567 as `1,234,567`. */
export function count(value: number): string {
  return value.toLocaleString('en')
}

/** Milliseconds as `850 ms`, `12 s`, `3 min`, `5 h` or `8 d`. */
export function duration(ms: number): string {
  if (ms < 1000) return `${Math.round(ms)} ms`
  const units: readonly [string, number][] = [
    ['d', 86_400_000],
    ['h', 3_600_000],
    ['min', 60_000],
  ]
  const [unit, size] = units.find(([, size]) => ms >= 2 * size) ?? ['s', 1000]
  return `${Math.floor(ms / size)} ${unit}`
}
