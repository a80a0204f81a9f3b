/** Converts message bodies to bytes and back. If `decode` throws, that one message fails; the consumer carries on. */
export interface Codec<Body> {
  encode(body: Body): Uint8Array
  decode(bytes: Buffer): Body
}

/** The body types that a producer without a codec accepts. */
export type BytesInput = Buffer | Uint8Array | string

/** A codec for UTF-8 text. */
export function text(): Codec<string> {
  return { encode: body => Buffer.from(body), decode: bytes => bytes.toString('utf8') }
}

/** A codec for JSON. `check` receives each parsed value: it returns the body to use, or throws to reject the message. */
export function json<Body>(check: (value: unknown) => Body = value => value as Body): Codec<Body> {
  return {
    encode: body => Buffer.from(JSON.stringify(body)),
    decode: bytes => check(JSON.parse(bytes.toString('utf8'))),
  }
}

/** The default codec: bodies are bytes. Strings are accepted and sent as UTF-8. */
export const bytes: { encode(body: BytesInput): Uint8Array; decode(bytes: Buffer): Buffer } = {
  encode: body => (typeof body === 'string' ? Buffer.from(body) : body),
  decode: body => body,
}
