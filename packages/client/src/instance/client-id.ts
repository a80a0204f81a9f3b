import { existsSync } from 'node:fs'
import { networkInterfaces } from 'node:os'
import { isIPv4 } from 'node:net'

const PRIVATE = /^(10\.|127\.|192\.168\.|172\.(1[6-9]|2\d|3[01])\.)/

/**
 * The address by which others may know this machine: not loopback, not of a bridge, IPv4 before IPv6, public before
 * private (Apache's NetworkUtil.getLocalAddress of 5.x).
 */
export function ownAddress(interfaces = networkInterfaces(), isBridge = bridge): string {
  const all = Object.entries(interfaces)
    .filter(([name]) => !isBridge(name))
    .flatMap(([, addresses]) => addresses ?? [])
    .filter(({ internal }) => !internal)
    .map(({ address }) => address.replace(/%.*$/, ''))
  const v4 = all.filter(address => isIPv4(address))
  const v6 = all.filter(address => !isIPv4(address) && !address.startsWith('fe80'))
  return v4.find(address => !PRIVATE.test(address)) ?? v4.at(-1) ?? v6[0] ?? '127.0.0.1'
}

function bridge(name: string): boolean {
  return existsSync(`/sys/class/net/${name}/bridge`)
}

/** Client ids as brokers and operators see them: `10.0.0.5@4711#81552312`. Java's ClientConfig.buildMQClientId. */
export function clientIdOf(ip: string, instanceName: string, unitName: string): string {
  const host = ip.includes(':') ? `[${ip}]` : ip
  return unitName === '' ? `${host}@${instanceName}` : `${host}@${instanceName}@${unitName}`
}

/** A name that no other instance has: process and the time since the machine's start, as Java's. */
export function freshInstanceName(): string {
  return `${process.pid}#${process.hrtime.bigint()}`
}
