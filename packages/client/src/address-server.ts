import { ClientError } from './errors.ts'

const FETCH_MS = 3000

/**
 * What an address server answers, as Apache's does: the list in the first line. User and password in the URL are shown to
 * it, and to nobody in errors, nor what is behind a question mark.
 * @throws ClientError NO_NAME_SERVER
 */
export async function askAddressServer(text: string): Promise<string> {
  const url = URL.canParse(text) ? new URL(text) : undefined
  // Of other schemes the path may hold user and password: `user:password@host` is a URL of scheme `user`.
  if (url === undefined || !/^https?:$/.test(url.protocol)) throw noList('the URL of the address server is none')
  const where = url.origin + url.pathname
  const headers = authorization(url)
  url.username = ''
  url.password = ''
  try {
    const response = await fetch(url, { headers, signal: AbortSignal.timeout(FETCH_MS) })
    if (response.status !== 200) throw noList(`${where} answered with status ${response.status}`)
    return (await response.text()).trim().split(/[\r\n]/)[0] ?? ''
  } catch (error) {
    throw error instanceof ClientError ? error : noList(`${where} does not answer: ${reasonOf(error)}`, error)
  }
}

function authorization({ username, password }: URL): Record<string, string> {
  if (username === '' && password === '') return {}
  const user = `${decoded(username)}:${decoded(password)}`
  return { authorization: `Basic ${Buffer.from(user).toString('base64')}` }
}

// A URL may have a percent sign that escapes nothing.
function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

// Of what `fetch` throws only the cause says why.
function reasonOf(error: unknown): string {
  const why = error instanceof Error && error.cause instanceof Error ? error.cause : error
  return why instanceof Error ? why.message : String(why)
}

function noList(text: string, cause?: unknown): ClientError {
  return new ClientError('NO_NAME_SERVER', text, { retriable: true, cause })
}
