export { AwakeClock } from './awake-clock.ts'
export {
  type Addresses,
  addressesOf,
  AddressList,
  type AddressListOptions,
  type AddressSource,
} from './address-list.ts'
export { type AddressRanges, addressRanges } from './address-range.ts'
export { askAddressServer } from './address-server.ts'
export { type Dial, RemotingClient, type RemotingClientOptions } from './client.ts'
export { type Clock, systemClock } from './clock.ts'
export type { CloseReason } from './close-reason.ts'
export {
  type BodyBytes,
  type Command,
  type ExtFields,
  isOneway,
  isReply,
  ONEWAY_FLAG,
  REPLY_FLAG,
  type ReplyParts,
  type SerializeType,
} from './command.ts'
export type { HttpAnswer } from './http-get.ts'
export { Connection } from './connection.ts'
export {
  ANNOUNCED_VERSION,
  type ConnectionLimits,
  type ConnectionOptions,
  defaultConnectionLimits,
  type Traffic,
} from './connection-options.ts'
export {
  FrameError,
  FrameTooLargeError,
  HeaderError,
  RemotingError,
  type RemotingErrorCode,
  ResponseError,
} from './errors.ts'
export {
  bigLong,
  bool,
  defaulted,
  double,
  exactLong,
  type DefaultedField,
  type Field,
  type FieldTable,
  type HeaderCodec,
  type HeaderInput,
  type HeaderValue,
  header,
  int,
  type Long,
  long,
  type OptionalField,
  optional,
  type RequiredField,
  strict,
  text,
} from './fields.ts'
export {
  boolOf,
  constantOf,
  doubleOf,
  intOf,
  listOf,
  longOf,
  numberOf,
  objectOf,
  textOf,
  textTable,
  textsOf,
  toInt,
  toLongKey,
  toNumber,
  toObject,
  toObjects,
  toText,
  toTexts,
} from './fastjson/members.ts'
export { FastjsonReader, type ReadOptions, readFastjson, readFastjsonInSlices } from './fastjson/reader.ts'
export {
  type Bean,
  isArray,
  isObject,
  type JsonArray,
  type JsonInput,
  type JsonKey,
  type JsonMap,
  type JsonObject,
  type JsonValue,
} from './fastjson/value.ts'
export { type Dialect, encodeFastjson, writeFastjson } from './fastjson/writer.ts'
export { type FastConnection, type FastPath, LATER, NOT_TAKEN } from './fast-path.ts'
export { decodeFrame, encodeFrame, FrameDecoder, MAX_FRAME, writeFrame } from './frame.ts'
export { FrameMemory } from './frame-memory.ts'
export { copyValue, HeaderView, toCommand } from './header-view.ts'
export { type Eventual, Held, held, settled } from './held.ts'
export { type Language, languageOf, languages } from './language.ts'
export { type Logger, silent } from './log.ts'
export { Outbox } from './outbox.ts'
export { printable, printableLines } from './printable.ts'
export {
  BACKSLASH_ADVICE,
  hasByteOrderMark,
  latestProperties,
  losesBackslash,
  type PropertyEntry,
  readProperties,
  writeProperties,
} from './properties-file.ts'
export { ReplyTemplate, type ReplyTemplateOptions, withCode } from './reply-template.ts'
export {
  type Answer,
  type BodyCodec,
  type Call,
  type CallInput,
  type CallOptions,
  type Handler,
  type HandlersFor,
  type Peer,
  type Reply,
  type RequestDeclaration,
  type RequestTable,
  request,
} from './request.ts'
export {
  GO_AWAY,
  REQUEST_CODE_NOT_SUPPORTED,
  type RequestHook,
  Router,
  type RouterOptions,
  SUCCESS,
  SYSTEM_BUSY,
  SYSTEM_ERROR,
} from './router.ts'
export {
  defaultServerLimits,
  type ListenOptions,
  type OtherProtocols,
  RemotingServer,
  type RemotingServerOptions,
  type ServerCloseOptions,
  type ServerLimits,
} from './server.ts'
export {
  accessKeyOf,
  type Credentials,
  isSigned,
  signatureCheck,
  signatureFault,
  type SignatureFault,
  signatureOf,
  signing,
} from './signing.ts'
export { clientTls, ServerTls } from './tls.ts'
export {
  type ClientTlsOptions,
  loadTlsOptions,
  type ServerTlsOptions,
  TLS_CONFIG_FILE,
  type TlsMode,
  type TlsOptions,
  tlsProperties,
} from './tls-options.ts'
export { finish, type Sliced } from './slices.ts'
export { ipOf } from './peer-address.ts'
export { editsBetween, nearestWord } from './spelling.ts'
export { giveUpAfter, isPromise, pause, upTo, type WaitLimit, within } from './waits.ts'
