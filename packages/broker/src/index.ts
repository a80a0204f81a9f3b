export { type BrokerOptions, brokerOptions } from './options.ts'
