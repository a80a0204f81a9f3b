import { existsSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { isIPv4 } from 'node:net'
import { hrtime } from 'node:process'

const PRIVATE = /^(10\.|127\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.)/

/**
 * The address of this machine in client ids: not loopback, not a bridge's, IPv4 before IPv6, public before private (Apache's
 * NetworkUtil.getLocalAddress in 5.x).
 */
export function ownAddress(interfaces = networkInterfaces(), isBridge = isLinuxBridge): string {
  const all = Object.entries(interfaces)
    .filter(([name]) => !isBridge(name))
    .flatMap(([, addresses]) => addresses ?? [])
    .filter(({ internal }) => !internal)
    .map(({ address }) => address.replace(/%.*$/, ''))
  const v4 = all.filter(address => isIPv4(address))
  const v6 = all.filter(address => !isIPv4(address) && !address.startsWith('fe80'))
  return v4.find(address => !PRIVATE.test(address)) ?? v4.at(-1) ?? v6[0] ?? '127.0.0.1'
}

function isLinuxBridge(name: string): boolean {
  return existsSync(`/sys/class/net/${name}/bridge`)
}

/** A client id as brokers and operators see it: `10.0.0.5@4711#81552312` (Apache's ClientConfig.buildMQClientId). */
export function clientIdOf(ip: string, instanceName: string, unitName: string): string {
  const host = ip.includes(':') ? `[${ip}]` : ip
  return unitName === '' ? `${host}@${instanceName}` : `${host}@${instanceName}@${unitName}`
}

/** An unused instance name: the process id and the time since the machine started, as in ClientConfig.changeInstanceNameToPID. */
export function freshInstanceName(): string {
  return `${process.pid}#${hrtime.bigint()}`
}
