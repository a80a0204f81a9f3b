import { browserPage } from './browser-page.ts'
import type { Health } from './health.ts'
import { jsonPage, type Page, textPage } from './page.ts'

/** Another server of the same process, which has pages of its own. */
export interface OtherServer {
  /** What people call it: `broker broker-a`. */
  readonly name: string
  /** The port of its pages, on the same machine. */
  readonly port: number
}

/** What the index is about. */
export interface Indexed {
  /** `name server` */
  readonly role: string
  readonly health: Health
  readonly pages: readonly { readonly path: string; readonly about: string }[]
  readonly otherServers: readonly OtherServer[]
}

/**
 * The page at `/`: a page to look around for browsers, JSON for callers that ask for it, and text for all others.
 * @param accept The Accept header.
 */
export function indexPage(indexed: Indexed, accept = ''): Page {
  const page = /\btext\/html\b/.test(accept)
    ? htmlPage()
    : /\bapplication\/json\b/.test(accept)
      ? jsonIndex(indexed)
      : textPage(textIndex(indexed))
  return { ...page, headers: { ...page.headers, vary: 'accept' } }
}

/** It reads everything else from the JSON pages. Scripts and styles run only if they have the hashes of its own. */
function htmlPage(): Page {
  const { html, scriptHash, styleHash } = browserPage
  const page = textPage(html, 'text/html; charset=utf-8')
  const policy = [
    "default-src 'none'",
    `script-src '${scriptHash}'`,
    `style-src '${styleHash}'`,
    "connect-src 'self'",
    'img-src data:',
    "base-uri 'none'",
    "form-action 'none'",
    "frame-ancestors 'none'",
    "require-trusted-types-for 'script'",
  ]
  return { ...page, headers: { ...page.headers, 'content-security-policy': policy.join('; ') } }
}

function jsonIndex({ role, health, pages, otherServers }: Indexed): Page {
  const { version, startedAt } = health
  const rows = pages.map(({ path, about }) => ({ path, about }))
  return jsonPage({ role, version, startedAt: new Date(startedAt), pages: rows, otherServers })
}

function textIndex({ role, pages }: Indexed): string {
  const width = Math.max(...pages.map(({ path }) => path.length)) + 3
  const lines = pages.map(({ path, about }) => `${path.padEnd(width)}${about}\n`)
  const intro = `This is a RocketMQ ${role} (Gantry). Brokers and clients speak the remoting protocol on this port.`
  return `${intro}\n\n${lines.join('')}`
}
