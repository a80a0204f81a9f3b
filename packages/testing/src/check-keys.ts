import { nearestWord, RemotingError } from '@gantrymq/remoting'

/** Tests in plain JavaScript get an error for a mistyped option, too. @throws RemotingError BAD_OPTION with the name that was meant */
export function checkKeys(what: string, given: object, known: readonly string[]): void {
  if (typeof given !== 'object' || given === null)
    throw new RemotingError('BAD_OPTION', `${what} is an object with ${known.join(', ')}, and not ${String(given)}`)
  for (const key of Object.keys(given)) {
    if (known.includes(key)) continue
    const nearest = nearestWord(key, known)
    const hint = nearest === undefined ? `there are ${known.join(', ')}` : `did you mean ${nearest}?`
    throw new RemotingError('BAD_OPTION', `${what} has no ${JSON.stringify(key)}; ${hint}`)
  }
}
