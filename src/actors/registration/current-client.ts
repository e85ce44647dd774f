import { isClientRejected } from '../../../machines/rejection.ts'
import { type Clock, toRecordTime } from '../../clock.ts'
import { PortError } from '../../errors/port-error.ts'
import type { ClientInformation, ConnectionIdentity } from '../../schemas/credentials.ts'
import type { StoredClientDependencies } from '../dependencies.ts'

interface ClientRequest {
  readonly identity: ConnectionIdentity
  /** The time of the connection's record. */
  readonly recordTime: () => number
  readonly client: ClientInformation
}

/**
 * Sends a request; if the server rejects a dynamic client, which the shared registration has with another secret by
 * now, sends it once more by that client. A server may replace a secret whenever its registration is read, and a
 * request that it rejected for its client has consumed nothing.
 *
 * @returns The response, with the client if it is not that of the request.
 * @throws What `send` rejects with, or `PortError` of the store (not sent).
 * @see [RFC 7592 §2.1](https://www.rfc-editor.org/rfc/rfc7592.html#section-2.1)
 */
export async function withCurrentClient<Response extends object>(
  deps: StoredClientDependencies,
  { identity, recordTime, client }: ClientRequest,
  send: (client: ClientInformation) => Promise<Response>,
): Promise<Response & { client?: ClientInformation }> {
  try {
    return await send(client)
  } catch (error) {
    if (client.source !== 'dynamic' || !(error instanceof PortError) || !isClientRejected(error)) throw error
    const { issuer, clientId, clientSecret, redirectUri = deps.client.redirectUri } = client
    const stored = await deps.storedClient({ identity, issuer, redirectUri })
    if (stored?.clientId !== clientId || stored.clientSecret === clientSecret) throw error
    const current = inRecordTime(stored, recordTime(), deps.clock)
    return { ...(await send(current)), client: current }
  }
}

/** A client of another record, whose instants are by the clock of this process, for the record of the connection. */
export function inRecordTime(client: ClientInformation, at: number, clock: Pick<Clock, 'now'>): ClientInformation {
  const { clientSecretExpiresAt } = client
  if (clientSecretExpiresAt === undefined) return client
  return { ...client, clientSecretExpiresAt: toRecordTime(clientSecretExpiresAt, at, clock) }
}
