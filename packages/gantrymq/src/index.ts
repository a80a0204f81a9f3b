// All of the client under the same names, so that applications need to install only this package.
export * from '@gantrymq/client'
export {
  type Address,
  type CloseOptions,
  NameServer,
  type NameServerOptions,
  type NameServerParts,
  type StartOptions,
} from '@gantrymq/namesrv'
export { nameServerRequests, responseCodes } from '@gantrymq/protocol'
export { RemotingClient, type RemotingClientOptions, RemotingError, ResponseError } from '@gantrymq/remoting'
