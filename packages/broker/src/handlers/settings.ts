import type { brokerAdminRequests } from '@gantrymq/protocol'
import type { HandlersFor } from '@gantrymq/remoting'
import type { BrokerContext } from '../context.ts'

type SettingsRequests = Pick<typeof brokerAdminRequests, 'UPDATE_BROKER_CONFIG' | 'GET_BROKER_CONFIG'>

/** Reading and changing the options of the running broker: Apache's AdminBrokerProcessor. */
export const settingsHandlers: HandlersFor<SettingsRequests, BrokerContext> = {
  async UPDATE_BROKER_CONFIG({ body, peer }, { settings, log }) {
    log.info({ peer: peer.remoteAddress }, 'updateBrokerConfig called')
    if (body !== null) await settings.updateFrom(body)
    return {}
  },

  GET_BROKER_CONFIG(_call, { settings, topics }) {
    const { counter, timestamp, stateVersion } = topics.version
    // Apache has a version of its configuration too; mqadmin does not use it.
    const version = `{"counter":${counter},"stateVersion":${stateVersion},"timestamp":${timestamp}}`
    return { header: { version }, body: withExported(settings.text()) }
  },
}

/** Keys of Apache that this broker does not have, and without which `mqadmin exportConfigs` of 4.9 fails. */
const EXPORTED = { filterServerNums: '0', useTLS: 'false' }

function withExported(text: string): string {
  const missing = Object.entries(EXPORTED).filter(([key]) => !new RegExp(`^${key}=`, 'm').test(text))
  return text + missing.map(([key, value]) => `${key}=${value}\n`).join('')
}
