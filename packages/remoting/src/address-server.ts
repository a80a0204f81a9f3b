import { RemotingError } from './errors.ts'

const FETCH_MS = 3000

/**
 * Queries an address server, as Apache's TopAddressing does, and returns the first line of its answer, which holds the list. The
 * user and the password in the URL are sent to the server; errors show neither them nor the query string.
 * @throws RemotingError BAD_OPTION if this is not an http or https URL, CONNECT_FAILED if the server does not answer with status 200
 */
export async function askAddressServer(text: string): Promise<string> {
  const url = URL.canParse(text) ? new URL(text) : undefined
  // With another scheme the path may hold a user and a password: `user:password@host` is a URL of scheme `user`.
  if (url === undefined || !/^https?:$/.test(url.protocol))
    throw new RemotingError('BAD_OPTION', 'the URL of the address server is not an http or https URL')
  const where = url.origin + url.pathname
  const headers = authorization(url)
  url.username = ''
  url.password = ''
  try {
    const response = await fetch(url, { headers, signal: AbortSignal.timeout(FETCH_MS) })
    if (response.status !== 200) throw failed(`${where} answered with status ${response.status}`)
    return (await response.text()).trim().split(/[\r\n]/)[0] ?? ''
  } catch (error) {
    throw error instanceof RemotingError ? error : failed(`${where} does not answer: ${reasonOf(error)}`, error)
  }
}

function authorization({ username, password }: URL): Record<string, string> {
  if (username === '' && password === '') return {}
  const user = `${decoded(username)}:${decoded(password)}`
  return { authorization: `Basic ${Buffer.from(user).toString('base64')}` }
}

// A user or a password may contain a percent sign that is not an escape.
function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

// Only the cause of an error of `fetch` has the reason.
function reasonOf(error: unknown): string {
  const why = error instanceof Error && error.cause instanceof Error ? error.cause : error
  return why instanceof Error ? why.message : String(why)
}

function failed(text: string, cause?: unknown): RemotingError {
  return new RemotingError('CONNECT_FAILED', text, { retriable: true, cause })
}
