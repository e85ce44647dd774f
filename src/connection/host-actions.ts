import { restingState } from '../../machines/connection/selectors.ts'
import { warnOnFailure } from '../errors/warn-on-failure.ts'
import type { HostAction } from '../options/host-action.ts'
import type { ConnectionContext, JournalEntry } from '../schemas/connection-context.ts'
import type { AuthorizationServer, ConnectionIdentity } from '../schemas/credentials.ts'
import { MAX_UNDELIVERED_ACTIONS } from './limits.ts'
import type { OrchestratorServices, View } from './services.ts'

const serverOf = (context: ConnectionContext | undefined, id: number | undefined): AuthorizationServer | undefined =>
  context?.servers.find((server) => server.id === id)

/** The actions of a host that stores credentials itself, for a record that changed from `before` to that of `view`. */
export function actionsBetween(
  before: ConnectionContext | undefined,
  view: Pick<View, 'context' | 'toLocal'> | undefined,
): HostAction[] {
  if (view === undefined) return []
  const { context: after, toLocal } = view
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
    const { issuer, clientId, clientSecret, tokenEndpointAuthMethod, redirectUri } = server.client
    const clientSecretExpiresAt = toLocal(server.client.clientSecretExpiresAt)
    const data = { issuer, clientId, clientSecret, clientSecretExpiresAt, tokenEndpointAuthMethod, redirectUri }
    actions.push({ type: 'saveClientInformation', ...common, data })
  }
  if (tokens !== undefined && !tokens.unverified && restingState(after) === 'authorized') {
    const { accessToken, tokenType, scope, refreshToken, grant } = tokens
    const expiresAt = toLocal(tokens.expiresAt)
    const { issuer } = serverOf(after, tokens.serverId) ?? { issuer: after.imported?.issuer }
    actions.push({
      type: 'saveTokens',
      ...common,
      data: { accessToken, tokenType, scope, expiresAt, refreshToken, grant, issuer },
    })
  }
  return actions
}

const isForgetting = ({ type }: HostAction): boolean => type === 'forgetTokens' || type === 'forgetClientInformation'

/**
 * Delivers the actions of a record that changed from `before` to `after` to `onActions`, and awaits it. If that fails,
 * the next call of this connection delivers again, whether or not it changes the record: save actions are then derived
 * from the record, and forget actions, which can no longer be derived from it, are retained.
 *
 * @param isDue Whether to deliver even if no earlier delivery has failed.
 * @returns The actions, with those of earlier deliveries that failed.
 */
export async function deliverActions(
  { options, undeliveredActions, authorizing, renewing }: OrchestratorServices,
  key: string,
  before: View | undefined,
  after: View | undefined,
  { isDue }: { isDue: boolean },
): Promise<HostAction[]> {
  const { onActions } = options
  const overdue = undeliveredActions.get(key)
  const actions = [...(overdue ?? []), ...actionsBetween(before?.context, after)]
  if (onActions === undefined || (!isDue && overdue === undefined)) return actions
  // The host may call this connection in `onActions`: such a call must not share an operation that awaits it.
  authorizing.delete(key)
  renewing.delete(key)
  // Nor does it deliver what is being delivered.
  undeliveredActions.delete(key)
  const isDelivered = await warnOnFailure('AUTHCHART_CALLBACK_FAILED', 'onActions()', () => onActions(actions))
  if (isDelivered) return actions
  // With what a delivery that started in the meantime has failed to deliver.
  const others = undeliveredActions.get(key) ?? []
  undeliveredActions.set(key, [...others, ...actions.filter(isForgetting)].slice(-MAX_UNDELIVERED_ACTIONS))
  return actions
}

/** The four members of a connection's identity, each present. */
export function identityOf({ tenant, user, server, label }: ConnectionIdentity): {
  tenant: string
  user: string | undefined
  server: string
  label: string | undefined
} {
  return { tenant, user, server, label }
}
