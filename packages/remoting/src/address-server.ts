import { RemotingError } from './errors.ts'

const FETCH_MS = 3000

/**
 * What an address server answers, as Apache's does (TopAddressing): the list in the first line. The user and the password
 * in the URL are sent to it; errors show neither them nor what follows a question mark.
 * @throws RemotingError BAD_OPTION for what is no such URL, CONNECT_FAILED if the server does not answer with a list
 */
export async function askAddressServer(text: string): Promise<string> {
  const url = URL.canParse(text) ? new URL(text) : undefined
  // Of other schemes the path may hold user and password: `user:password@host` is a URL of scheme `user`.
  if (url === undefined || !/^https?:$/.test(url.protocol))
    throw new RemotingError('BAD_OPTION', 'the URL of the address server is none')
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

function failed(text: string, cause?: unknown): RemotingError {
  return new RemotingError('CONNECT_FAILED', text, { retriable: true, cause })
}
