import type { TurnBudget } from '@gantrymq/daemon'
import { type nameServerRequests, responseCodes } from '@gantrymq/protocol'
import { type HandlersFor, printable, ResponseError, type Sliced } from '@gantrymq/remoting'
import { kvBodyOf } from '../answers/kv-body.ts'
import type { Lane } from '../context.ts'
import type { KvStore } from '../kv/kv-store.ts'

/** What the handlers of the KV configuration work on. */
export interface KvContext {
  readonly kv: Pick<KvStore, 'current' | 'put' | 'delete'>
  readonly turns: Pick<TurnBudget<Lane>, 'run'>
}

type KvRequests = Pick<
  typeof nameServerRequests,
  'PUT_KV_CONFIG' | 'GET_KV_CONFIG' | 'DELETE_KV_CONFIG' | 'GET_KVLIST_BY_NAMESPACE'
>

/** Requests for the KV configuration, with the remarks of Apache's DefaultRequestProcessor. */
export const kvHandlers: HandlersFor<KvRequests, KvContext> = {
  async PUT_KV_CONFIG({ header: { namespace, key, value } }, { kv }) {
    if (namespace === undefined || key === undefined) {
      throw new ResponseError(responseCodes.SYSTEM_ERROR, 'namespace or key is null')
    }
    if (value !== undefined) await kv.put(namespace, key, value)
    // Apache stores null, which readers treat as an absent value; the namespace exists from then on.
    else await Promise.all([kv.put(namespace, key, ''), kv.delete(namespace, key)])
    return {}
  },

  GET_KV_CONFIG({ header: { namespace, key } }, { kv }) {
    const isWhole = namespace !== undefined && key !== undefined
    const value = isWhole ? kv.current.get(namespace, key) : undefined
    if (value !== undefined) return { header: { value } }
    const remark = `No config item, Namespace: ${printable(namespace ?? 'null')} Key: ${printable(key ?? 'null')}`
    // Not thrown: Apache answers with an empty header here.
    return { code: responseCodes.QUERY_NOT_FOUND, remark, header: {} }
  },

  async DELETE_KV_CONFIG({ header: { namespace, key } }, { kv }) {
    if (namespace !== undefined && key !== undefined) await kv.delete(namespace, key)
    return {}
  },

  GET_KVLIST_BY_NAMESPACE({ header: { namespace } }, { kv, turns }) {
    const table = namespace === undefined ? undefined : kv.current.namespace(namespace)
    if (table === undefined)
      throw new ResponseError(
        responseCodes.QUERY_NOT_FOUND,
        `No config item, Namespace: ${printable(namespace ?? 'null')}`,
      )
    return turns.run('answer', answer(kvBodyOf(table)))
  },
}

function* answer(body: Sliced<readonly Buffer[]>): Sliced<{ readonly body: readonly Buffer[] }> {
  return { body: yield* body }
}
