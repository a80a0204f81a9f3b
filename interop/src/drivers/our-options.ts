import type { ClientSpec } from './client-under-test.ts'

/** Our client's options for the settings that both clients take. */
export function clientOptions(nameServers: string, settings: ClientSpec) {
  const { accessKey, secretKey, namespace, instanceName, unitName, tls, vip } = settings
  return {
    nameServers: settings.nameServers ?? nameServers,
    routeRefreshMs: 1_000,
    ...(accessKey !== undefined && secretKey !== undefined ? { credentials: { accessKey, secretKey } } : {}),
    ...(namespace === undefined ? {} : { namespace }),
    ...(instanceName === undefined ? {} : { instanceName }),
    ...(unitName === undefined ? {} : { unitName }),
    ...(tls ? { tls: { rejectUnauthorized: false } } : {}),
    ...(vip ? { vipChannel: true } : {}),
    ...(settings.trace ? { trace: true } : {}),
  }
}
