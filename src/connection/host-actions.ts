import { restingState } from '../../machines/connection/selectors.ts'
import type { HostAction } from '../options/host-action.ts'
import type { ConnectionContext, JournalEntry } from '../schemas/connection-context.ts'
import type { AuthorizationServer, ConnectionIdentity } from '../schemas/credentials.ts'

const serverOf = (context: ConnectionContext | undefined, id: number | undefined): AuthorizationServer | undefined =>
  context?.servers.find((server) => server.id === id)

/** What a host that keeps credentials itself has to do, now that a record went from `before` to `after`. */
export function actionsBetween(
  before: ConnectionContext | undefined,
  after: ConnectionContext | undefined,
): HostAction[] {
  if (after === undefined) return []
  const { identity, generation, tokens } = after
  const common = { ...identityOf(identity), generation }
  const lost = before?.tokens === undefined || tokens !== undefined ? undefined : before
  const server = serverOf(after, tokens?.serverId) ?? serverOf(after, after.attempts.at(-1)?.serverId)
  const actions: HostAction[] = []
  if (lost !== undefined) {
    const { issuer } = serverOf(lost, lost.tokens?.serverId) ?? {}
    actions.push({ type: 'forgetTokens', ...common, data: { issuer } })
  }
  const wasRetiring = ({ to }: JournalEntry): boolean => to === 'retiring'
  const retiredAt = after.journal.findLast(wasRetiring)?.at
  if (retiredAt !== undefined && retiredAt !== before?.journal.findLast(wasRetiring)?.at) {
    const registered = before?.servers.filter(({ client }) => client.source === 'dynamic') ?? []
    const { issuer } = registered.find(({ id }) => serverOf(after, id) === undefined) ?? registered[0] ?? {}
    actions.push({ type: 'forgetClientInformation', ...common, data: { issuer } })
  }
  if (server !== undefined && server.client.source !== 'anonymous') {
    const { issuer, clientId, clientSecret, clientSecretExpiresAt, tokenEndpointAuthMethod, redirectUri } =
      server.client
    const data = { issuer, clientId, clientSecret, clientSecretExpiresAt, tokenEndpointAuthMethod, redirectUri }
    actions.push({ type: 'saveClientInformation', ...common, data })
  }
  if (tokens !== undefined && !tokens.unverified && restingState(after) === 'authorized') {
    const { accessToken, tokenType, scope, expiresAt, refreshToken, grant } = tokens
    const { issuer } = serverOf(after, tokens.serverId) ?? { issuer: after.imported?.issuer }
    actions.push({
      type: 'saveTokens',
      ...common,
      data: { accessToken, tokenType, scope, expiresAt, refreshToken, grant, issuer },
    })
  }
  return actions
}

/** The four parts that name a connection, each present. */
export function identityOf({ tenant, user, server, label }: ConnectionIdentity): {
  tenant: string
  user: string | undefined
  server: string
  label: string | undefined
} {
  return { tenant, user, server, label }
}
