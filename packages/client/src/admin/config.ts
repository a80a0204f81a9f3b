import { brokerAdminRequests, type KVTable, nameServerRequests, responseCodes } from '@gantrymq/protocol'
import { writeProperties } from '@gantrymq/remoting'
import type { Deadline } from '../deadline.ts'
import { ClientError } from '../errors.ts'
import { shown } from '../fields.ts'
import type { CallOptions } from '../message/message.ts'
import { type AdminCalls, askEach, given, isRefusal, type Target } from './calls.ts'

/** Settings by Apache's names. All values are strings. */
export type Settings = ReadonlyMap<string, string>
/** Settings to change. */
export type Changes = Readonly<Record<string, string | number | boolean>>

/** The settings of brokers and name servers, and the name servers' key-value store. */
export class Config {
  readonly #calls: AdminCalls

  constructor(calls: AdminCalls) {
    this.#calls = calls
  }

  /** All settings of one broker: getBrokerConfig. */
  async ofBroker(target: Target, options: CallOptions = {}): Promise<Settings> {
    const deadline = this.#calls.deadline(options)
    const { address } = await this.#calls.brokerOf(target, deadline)
    return settingsOf(await this.#calls.body(address, brokerAdminRequests.GET_BROKER_CONFIG, {}, deadline))
  }

  /** Changes settings of running brokers: updateBrokerConfig. A broker ignores keys that it does not know. */
  async updateBroker(changes: Changes, target: Target, options: CallOptions = {}): Promise<void> {
    checkPermission(changes['brokerPermission'])
    const deadline = this.#calls.deadline(options)
    const body = textOf(changes)
    await askEach(await this.#calls.brokersOf(target, deadline), ({ address }) =>
      this.#calls.ask(address, brokerAdminRequests.UPDATE_BROKER_CONFIG, { body }, deadline),
    )
  }

  /** All settings of all name servers, by address: getNameServerConfig. */
  async ofNameServers(options: CallOptions = {}): Promise<ReadonlyMap<string, Settings>> {
    const answers = await this.#calls.everyNameServer(
      nameServerRequests.GET_NAMESRV_CONFIG,
      {},
      this.#calls.deadline(options),
    )
    return new Map(answers.map(({ address, reply }) => [address, settingsOf(given(reply.body, address))]))
  }

  /** Changes settings of all name servers while they run: updateNameServerConfig. */
  async updateNameServers(changes: Changes, options: CallOptions = {}): Promise<void> {
    const body = textOf(changes)
    await this.#calls.everyNameServer(nameServerRequests.UPDATE_NAMESRV_CONFIG, { body }, this.#calls.deadline(options))
  }

  /** A value in the key-value store, null if there is none: getKVConfig. */
  async getKV(namespace: string, key: string, options: CallOptions = {}): Promise<string | null> {
    return await kvValue(this.#calls, { namespace, key }, this.#calls.deadline(options))
  }

  /** All values of a namespace: getKVListByNamespace. */
  async listKV(namespace: string, options: CallOptions = {}): Promise<KVTable> {
    const deadline = this.#calls.deadline(options)
    try {
      const { body } = await this.#calls.nameServer(
        nameServerRequests.GET_KVLIST_BY_NAMESPACE,
        { header: { namespace } },
        deadline,
      )
      return body ?? new Map()
    } catch (error) {
      if (isRefusal(error, responseCodes.QUERY_NOT_FOUND)) return new Map()
      throw error
    }
  }

  /** Stores a value at all name servers: createAndUpdateKvConfig. */
  async putKV(namespace: string, key: string, value: string, options: CallOptions = {}): Promise<void> {
    const header = { namespace, key, value }
    await this.#calls.everyNameServer(nameServerRequests.PUT_KV_CONFIG, { header }, this.#calls.deadline(options))
  }

  /** Deletes a value at all name servers: deleteKvConfig. */
  async deleteKV(namespace: string, key: string, options: CallOptions = {}): Promise<void> {
    const header = { namespace, key }
    await this.#calls.everyNameServer(nameServerRequests.DELETE_KV_CONFIG, { header }, this.#calls.deadline(options))
  }
}

/** A value in the key-value store of the name servers, null if there is none. */
export async function kvValue(
  calls: AdminCalls,
  header: { readonly namespace: string; readonly key: string },
  deadline: Deadline,
): Promise<string | null> {
  try {
    const reply = await calls.nameServer(nameServerRequests.GET_KV_CONFIG, { header }, deadline)
    return reply.header.value ?? null
  } catch (error) {
    if (isRefusal(error, responseCodes.QUERY_NOT_FOUND)) return null
    throw error
  }
}

/** @throws ClientError BAD_OPTION for a permission that a broker would take and not understand (Validators.checkBrokerConfig) */
function checkPermission(permission: Changes[string] | undefined): void {
  if (permission === undefined || /^[0-7]$/.test(String(permission))) return
  const text = `brokerPermission must be a number from 0 to 7, 4 to read and 2 to write, not ${shown(permission)}`
  throw new ClientError('BAD_OPTION', text)
}

// Java writes these answers without escapes, so lines are not unescaped. It reads requests as a properties file.
function settingsOf(text: string): Settings {
  const lines = text.split('\n').filter(line => line.includes('='))
  return new Map(lines.map(line => [line.slice(0, line.indexOf('=')), line.slice(line.indexOf('=') + 1)]))
}

function textOf(changes: Changes): string {
  return writeProperties(Object.entries(changes).map(([key, value]) => [key, String(value)]))
}
