import type { Credentials } from '@gantrymq/remoting'
import type { Files, Properties } from './launcher.ts'

/** The settings with which a broker of 5.x signs its own requests. With the credentials alone it does not start. */
export const signingBroker = (credentials: Credentials): Properties => ({
  innerClientAuthenticationCredentials: JSON.stringify(credentials),
  authenticationMetadataProvider:
    'org.apache.rocketmq.auth.authentication.provider.LocalAuthenticationMetadataProvider',
})

/** The files with which mqadmin of both lines signs its requests. */
export const signingMqadmin = ({ accessKey, secretKey }: Credentials): Files => ({
  'conf/tools.yml': `accessKey: ${accessKey}\nsecretKey: ${secretKey}\n`,
})
