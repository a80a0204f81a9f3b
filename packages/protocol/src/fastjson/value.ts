import type { Long } from '@gantrymq/remoting'

/** What the writer takes. */
export type JsonInput = null | undefined | boolean | Long | string | readonly JsonInput[] | JsonMap | Bean
/** A Java map. Its keys may be beans. */
export interface JsonMap extends ReadonlyMap<string | Long | Bean, JsonInput> {}
/** A Java bean: its members in the order they are written, which for Java is by name. */
export interface Bean {
  readonly [member: string]: JsonInput
}
