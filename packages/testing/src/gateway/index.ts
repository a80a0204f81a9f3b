export type { Fault, FaultyAnswer, SeenRequest, SetFault } from './faults.ts'
export { type Acceptor, Gateway, type GatewayOptions } from './gateway.ts'
