import { isClientRejected } from '../../../machines/rejection.ts'
import { type Clock, toRecordTime } from '../../clock.ts'
import { PortError } from '../../errors/port-error.ts'
import { redirectUriAt } from '../../protocol/redirect-uri.ts'
import type { ClientInformation, ConnectionIdentity } from '../../schemas/credentials.ts'
import { asConfigured } from '../client-authentication.ts'
import type { ClientRequestDependencies, StoredClientDependencies } from '../dependencies.ts'

type CurrentClientDependencies = StoredClientDependencies & Pick<ClientRequestDependencies, 'clients' | 'facts'>

interface ClientRequest {
  readonly identity: ConnectionIdentity
  /** The time of the connection's record. */
  readonly recordTime: () => number
  readonly client: ClientInformation
}

/**
 * Sends a request by the client as it is now. A configured client has the secret of `clients`, whatever the record has.
 * If the server rejects the client, or its secret has expired, the request is sent once more where another secret of it
 * is there: that of the shared registration for a dynamic client, which a server may replace whenever the registration
 * is read; that of `clients` for one that the host provided; that of the record for a configured one, whose secret this
 * process may have in an older or a newer version than the others. A request that a server rejected for its client has
 * consumed nothing.
 *
 * @returns The response, with the client if it is not that of the request.
 * @throws What `send` rejects with, or `PortError` of the store (not sent).
 * @see [RFC 7592 §2.1](https://www.rfc-editor.org/rfc/rfc7592.html#section-2.1)
 */
export async function withCurrentClient<Response extends object>(
  deps: CurrentClientDependencies,
  { identity, recordTime, client }: ClientRequest,
  send: (client: ClientInformation) => Promise<Response>,
): Promise<Response & { client?: ClientInformation }> {
  const configured = asConfigured(deps, client)
  const first = client.source === 'configured' ? (configured ?? client) : client
  const sendBy = async (current: ClientInformation) => ({
    ...(await send(current)),
    ...(current !== client && { client: current }),
  })
  const storedSecret = async (): Promise<ClientInformation | undefined> => {
    const { issuer, clientId, clientSecret } = client
    const redirectUri = client.redirectUri ?? redirectUriAt(deps.client.redirectUri, issuer)
    const stored = await deps.storedClient({ identity, issuer, redirectUri })
    if (stored?.clientId !== clientId || stored.clientSecret === clientSecret) return undefined
    return inRecordTime(stored, recordTime(), deps.clock)
  }
  try {
    return await sendBy(first)
  } catch (error) {
    if (!(error instanceof PortError) || !isClientRejected(error)) throw error
    const ofHost = first === client ? configured : client
    const other = client.source === 'dynamic' ? await storedSecret() : ofHost
    if (other === undefined) throw error
    return await sendBy(other)
  }
}

/** A client of another record, whose instants are by the clock of this process, for the record of the connection. */
export function inRecordTime(client: ClientInformation, at: number, clock: Pick<Clock, 'now'>): ClientInformation {
  const { clientSecretExpiresAt } = client
  if (clientSecretExpiresAt === undefined) return client
  return { ...client, clientSecretExpiresAt: toRecordTime(clientSecretExpiresAt, at, clock) }
}
