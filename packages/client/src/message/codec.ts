/** Makes bodies of bytes and bytes of bodies. What `decode` throws is a failed message, not a failed consumer. */
export interface Codec<Body> {
  encode(body: Body): Uint8Array
  decode(bytes: Buffer): Body
}

/** What a producer without a codec takes. */
export type BytesInput = Buffer | Uint8Array | string

/** Bodies are text in UTF-8. */
export function text(): Codec<string> {
  return { encode: body => Buffer.from(body), decode: bytes => bytes.toString('utf8') }
}

/** Bodies are JSON. `check` may refuse what was read by throwing, or return it in another form. */
export function json<Body>(check: (value: unknown) => Body = value => value as Body): Codec<Body> {
  return {
    encode: body => Buffer.from(JSON.stringify(body)),
    decode: bytes => check(JSON.parse(bytes.toString('utf8'))),
  }
}

/** Bodies are bytes; text is taken too. The default. */
export const bytes: { encode(body: BytesInput): Uint8Array; decode(bytes: Buffer): Buffer } = {
  encode: body => (typeof body === 'string' ? Buffer.from(body) : body),
  decode: body => body,
}
