import { restingState } from '../../machines/connection/selectors.ts'
import { warnOnFailure } from '../errors/warn-on-failure.ts'
import type { HostAction } from '../options/host-action.ts'
import type { ConnectionContext, JournalEntry } from '../schemas/connection-context.ts'
import type { AuthorizationServer, ConnectionIdentity } from '../schemas/credentials.ts'
import { MAX_UNDELIVERED_ACTIONS } from './limits.ts'
import type { OrchestratorServices, View } from './services.ts'

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

const isForgetting = ({ type }: HostAction): boolean => type === 'forgetTokens' || type === 'forgetClientInformation'

/**
 * Hands the actions of a record that went from `before` to `after` to `onActions`, and waits for it. Where that fails,
 * the next call of this connection delivers again, changed or not: what to save is derived from the record then, and
 * what to forget, which the record no longer shows, is remembered.
 *
 * @param isDue Whether there is something to deliver besides what was not delivered before.
 * @returns The actions, with those that were not delivered before.
 */
export async function deliverActions(
  { options, undeliveredActions }: OrchestratorServices,
  key: string,
  before: View | undefined,
  after: View | undefined,
  { isDue }: { isDue: boolean },
): Promise<HostAction[]> {
  const { onActions } = options
  const overdue = undeliveredActions.get(key)
  const actions = [...(overdue ?? []), ...actionsBetween(before?.context, after?.context)]
  if (onActions === undefined || (!isDue && overdue === undefined)) return actions
  const isDelivered = await warnOnFailure('AUTHCHART_CALLBACK_FAILED', 'onActions()', () => onActions(actions))
  if (!isDelivered) undeliveredActions.set(key, actions.filter(isForgetting).slice(-MAX_UNDELIVERED_ACTIONS))
  // Unless another delivery, which has begun since, failed as well.
  else if (undeliveredActions.get(key) === overdue) undeliveredActions.delete(key)
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
