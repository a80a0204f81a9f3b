import type { ServerSettings } from '@gantrymq/daemon'
import type { nameServerRequests } from '@gantrymq/protocol'
import type { HandlersFor, Logger } from '@gantrymq/remoting'
import type { NameServerOptions } from '../options.ts'

/** What the handlers of the configuration work on. */
export interface SettingsContext {
  readonly settings: Pick<ServerSettings<NameServerOptions>, 'text' | 'updateFrom'>
  readonly log: Logger
}

type SettingsRequests = Pick<typeof nameServerRequests, 'UPDATE_NAMESRV_CONFIG' | 'GET_NAMESRV_CONFIG'>

/** Requests that read and change the options of the running server. */
export const settingsHandlers: HandlersFor<SettingsRequests, SettingsContext> = {
  async UPDATE_NAMESRV_CONFIG({ body, peer }, { settings, log }) {
    log.info({ peer: peer.remoteAddress }, 'updateConfig called by')
    if (body !== null) await settings.updateFrom(body)
    return {}
  },

  GET_NAMESRV_CONFIG(_call, { settings }) {
    return { body: settings.text() }
  },
}
