import type { ServerSettings } from '@gantrymq/daemon'
import { type nameServerRequests, responseCodes } from '@gantrymq/protocol'
import { type HandlersFor, latestProperties, type Logger, readProperties, ResponseError } from '@gantrymq/remoting'
import type { NameServerOptions } from '../options.ts'

/** What the handlers of the configuration work on. */
export interface SettingsContext {
  readonly settings: Pick<ServerSettings<NameServerOptions>, 'text' | 'update'>
  readonly log: Logger
}

type SettingsRequests = Pick<typeof nameServerRequests, 'UPDATE_NAMESRV_CONFIG' | 'GET_NAMESRV_CONFIG'>

/** Requests that read and change the options of the running server. */
export const settingsHandlers: HandlersFor<SettingsRequests, SettingsContext> = {
  async UPDATE_NAMESRV_CONFIG({ body, peer }, { settings, log }) {
    log.info({ peer: peer.remoteAddress }, 'updateConfig called by')
    if (body !== null) await settings.update(propertiesIn(body, log))
    return {}
  },

  GET_NAMESRV_CONFIG(_call, { settings }) {
    return { body: settings.text() }
  },
}

// Apache reads the UTF-8 bytes as ISO-8859-1, so that non-ASCII text must be escaped; here it may be plain, too.
function propertiesIn(body: string, log: Logger): Map<string, string> {
  try {
    const entries = latestProperties(readProperties(Buffer.from(body), 'utf8'))
    return new Map(Array.from(entries, ([key, { value }]) => [key, value]))
  } catch (error) {
    log.error({ err: error }, 'updateConfig MixAll.string2Properties error')
    throw new ResponseError(responseCodes.SYSTEM_ERROR, 'string2Properties error', { cause: error })
  }
}
