export { brokerNoticeRequests } from './broker.ts'
export { nameServerRequests } from './name-server.ts'
export { requestNames } from './request-names.ts'
