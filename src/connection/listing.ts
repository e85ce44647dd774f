import * as v from 'valibot'
import { isAuthorizationError } from '../errors/authorization-error.ts'
import { failure, type Failure } from '../errors/failure.ts'
import { warnOnFailure } from '../errors/warn-on-failure.ts'
import type { ConnectionState } from '../schemas/connection-context.ts'
import { type ConnectionIdentity, maybe } from '../schemas/credentials.ts'
import { Text } from '../schemas/option-values.ts'
import { KEYS_PER_PAGE } from './limits.ts'
import { ConnectionRecord } from './record.ts'
import { isConnectionKey, isRegistrationKey } from './routing.ts'
import type { OrchestratorServices } from './services.ts'
import { type ConnectionStatus, statusOf } from './status.ts'

/** Which connections `connections()` returns: those that match every member. */
export interface ConnectionFilter {
  /** Tenant. @defaultValue all tenants */
  tenant?: string | undefined
  /** User. @defaultValue all users, and none */
  user?: string | undefined
  /** URL of the MCP server, in any form that `connection()` accepts. @defaultValue all servers */
  server?: string | undefined
  /** State as `status()` reports it. @defaultValue all states */
  state?: ConnectionState | undefined
}

const STATES = [
  'disconnected',
  'awaitingCallback',
  'authorized',
  'reauthorizationRequired',
  'failed',
  'exchanging',
  'refreshing',
  'requestingToken',
  'disconnecting',
] as const satisfies ConnectionState[]

/** The options of `connections()`. */
export const ConnectionFilterSchema = v.strictObject({
  tenant: maybe(Text),
  user: maybe(Text),
  server: maybe(Text),
  state: maybe(v.picklist(STATES)),
})

/** A connection as `connections()` returns it, or the key of a record whose status cannot be determined. */
export type ConnectionEntry =
  | {
      /** Tenant, user, server and label, for `connection()`. */
      identity: ConnectionIdentity
      /** As `status()` of this connection. */
      status: ConnectionStatus
    }
  | {
      /** The key of the record in the store. Contains no name. */
      key: string
      /**
       * Why: it cannot be read (`SNAPSHOT_*`, `STORE_UNAVAILABLE`), or the function `policy` failed for it
       * (`POLICY_REFUSED`, reason `policyFailed`).
       */
      failure: Failure
    }

/**
 * Reads every record of a connection, one page at a time, and yields those that match, and those that cannot be read.
 * Encrypts each registration on the way anew that is encrypted with another key than new records are, and yields those
 * where this failed.
 *
 * @internal
 */
export async function* listConnections(
  services: OrchestratorServices,
  filter: ConnectionFilter,
): AsyncGenerator<ConnectionEntry, void, undefined> {
  const seen = new Set<string>()
  let cursor: string | undefined
  do {
    services.assertOpen()
    const page = await services.runner.keys({ cursor, limit: KEYS_PER_PAGE })
    const keys = new Set(page.keys.filter((key) => (isConnectionKey(key) || isRegistrationKey(key)) && !seen.has(key)))
    for (const key of keys) seen.add(key)
    const entries = await Promise.all([...keys].map((key) => orFailure(key, () => entryOf(services, key, filter))))
    yield* entries.filter((entry) => entry !== undefined)
    cursor = page.cursor
  } while (cursor !== undefined)
}

/** The entry of a record; that of its failure, if it cannot be read. */
async function orFailure(
  key: string,
  entry: () => Promise<ConnectionEntry | undefined>,
): Promise<ConnectionEntry | undefined> {
  try {
    return await entry()
  } catch (error) {
    if (!isAuthorizationError(error)) throw error
    return { key, failure: error.failure }
  }
}

/** The entry of a connection, if it matches. A registration has none: it is encrypted anew, if it has to be. */
async function entryOf(
  services: OrchestratorServices,
  key: string,
  filter: ConnectionFilter,
): Promise<ConnectionEntry | undefined> {
  if (isRegistrationKey(key)) {
    await services.registrations.reseal(key)
    return undefined
  }
  const view = await services.runner.load(services.chart, key)
  if (view === undefined || !isOf(view.context.identity, filter)) return undefined
  const { identity } = view.context
  const record = new ConnectionRecord(services, identity, key)
  const hasPolicy = await warnOnFailure('AUTHCHART_CALLBACK_FAILED', 'policy()', () => record.policy)
  if (!hasPolicy) return { key, failure: failure('POLICY_REFUSED', { reason: 'policyFailed' }) }
  const status = statusOf(record, view)
  return filter.state === undefined || filter.state === status.state ? { identity, status } : undefined
}

function isOf(identity: ConnectionIdentity, { tenant, user, server }: ConnectionFilter): boolean {
  const isSame = (wanted: string | undefined, is: string | undefined): boolean => wanted === undefined || wanted === is
  return isSame(tenant, identity.tenant) && isSame(user, identity.user) && isSame(server, identity.server)
}
