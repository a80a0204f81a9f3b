import { RemotingError } from '@gantrymq/remoting'
import { decompress, decompressAsync, MAX_DECOMPRESSED_BYTES } from './compression.ts'
import { type Host, ipText } from './host.ts'
import { type MessageLayout, safeLong } from './message-layout.ts'
import { readMessageProperties, readMessageProperty } from './properties.ts'
import { PROPERTY } from './reserved-properties.ts'
import { BORN_HOST_V6, type Compression, compressionOf, STORE_HOST_V6 } from './sys-flag.ts'

/**
 * A message within the bytes of a pull. Each part is decoded when it is used. The view keeps all those bytes in memory, so copy
 * what should outlive the other messages of the pull.
 */
export class MessageView {
  /** Offset in its queue. */
  readonly queueOffset: number
  /** As stored: it may say that the body is compressed, although `body` is decompressed. */
  readonly sysFlag: number
  readonly #layout: MessageLayout
  readonly #maxBodyBytes: number
  #text: string | undefined
  #properties: Map<string, string> | undefined
  #body: Buffer | undefined

  /** @param maxBodyBytes Limit of the decompressed body, bytes. */
  constructor(layout: MessageLayout, maxBodyBytes = MAX_DECOMPRESSED_BYTES) {
    this.#layout = layout
    this.#maxBodyBytes = maxBodyBytes
    this.sysFlag = layout.sysFlag
    this.queueOffset = safeLong(layout.bytes, layout.at + 20) + layout.index
  }

  get queueId(): number {
    return this.#layout.bytes.readInt32BE(this.#layout.at + 12)
  }

  /** A number of the user's own; RocketMQ does not use it. */
  get flag(): number {
    return this.#layout.content.readInt32BE(this.#layout.flagAt)
  }

  /** Position in the commit log. */
  get physicalOffset(): number {
    return safeLong(this.#layout.bytes, this.#layout.at + 28)
  }

  /** Milliseconds since the epoch, the sender's clock. */
  get bornTimestamp(): number {
    return safeLong(this.#layout.bytes, this.#layout.at + 40)
  }

  get bornHost(): Host {
    return this.#host(this.#layout.at + 48, (this.sysFlag & BORN_HOST_V6) !== 0)
  }

  /** Milliseconds since the epoch, the broker's clock. */
  get storeTimestamp(): number {
    return safeLong(this.#layout.bytes, this.#layout.storeTimestampAt)
  }

  get storeHost(): Host {
    return this.#host(this.#layout.storeTimestampAt + 8, (this.sysFlag & STORE_HOST_V6) !== 0)
  }

  get reconsumeTimes(): number {
    return this.#layout.bytes.readInt32BE(this.#layout.tailAt)
  }

  get preparedTransactionOffset(): number {
    return safeLong(this.#layout.bytes, this.#layout.tailAt + 4)
  }

  get topic(): string {
    const { bytes, topicAt, topicLength } = this.#layout
    return bytes.toString('utf8', topicAt, topicAt + topicLength)
  }

  /** The id that its sender assigned, else the broker's id: what Java's consumers call msgId. */
  get messageId(): string {
    return this.property(PROPERTY.UNIQ_KEY) ?? this.offsetMessageId
  }

  /** The broker's id, in the form of the function `offsetMessageId`. */
  get offsetMessageId(): string {
    const { bytes, at, storeTimestampAt, tailAt } = this.#layout
    return (bytes.toString('hex', storeTimestampAt + 8, tailAt) + bytes.toString('hex', at + 28, at + 36)).toUpperCase()
  }

  /** How the stored body is compressed; null if it is not, undefined for an unknown type. */
  get compression(): Compression | null | undefined {
    return compressionOf(this.sysFlag)
  }

  /** Size of the stored body, bytes. */
  get storedLength(): number {
    return this.#layout.bodyLength
  }

  /** The body as stored, a view of the pull's bytes. */
  get storedBody(): Buffer {
    const { content, bodyAt, bodyLength } = this.#layout
    return content.subarray(bodyAt, bodyAt + bodyLength)
  }

  /**
   * The decompressed body. For a large compressed body `readBody` is better.
   * @throws RemotingError BAD_BODY if it cannot be decompressed, BAD_OPTION if this Node has no zstd
   */
  get body(): Buffer {
    const stored = this.#body ?? this.storedBody
    if (this.#body !== undefined) return stored
    const type = this.#compressionToUndo()
    return (this.#body = type === null ? stored : decompress(stored, type, this.#maxBodyBytes))
  }

  /** As `body`, without blocking the event loop for a large compressed body. */
  async readBody(): Promise<Buffer> {
    const type = this.#body === undefined ? this.#compressionToUndo() : null
    if (type === null) return this.body
    return (this.#body = await decompressAsync(this.storedBody, type, this.#maxBodyBytes))
  }

  #compressionToUndo(): Compression | null {
    const type = this.compression
    if (type === undefined) {
      throw new RemotingError('BAD_BODY', `unknown compression type ${(this.sysFlag >> 8) & 7} in sysFlag`)
    }
    return this.#layout.bodyLength === 0 ? null : type
  }

  /** All properties, read on first use. */
  get properties(): ReadonlyMap<string, string> {
    return (this.#properties ??= readMessageProperties(this.#propertyText()))
  }

  /** One property; cheaper than `properties` as long as those have not been read. */
  property(name: string): string | undefined {
    return this.#properties === undefined ? readMessageProperty(this.#propertyText(), name) : this.#properties.get(name)
  }

  #propertyText(): string {
    const { content, propertiesAt, propertiesLength } = this.#layout
    return (this.#text ??= content.toString('utf8', propertiesAt, propertiesAt + propertiesLength))
  }

  #host(at: number, v6: boolean): Host {
    const { bytes } = this.#layout
    const end = at + (v6 ? 16 : 4)
    return { ip: ipText(bytes.subarray(at, end)), port: bytes.readInt32BE(end) }
  }
}
