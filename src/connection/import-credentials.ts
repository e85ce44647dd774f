import { isUndiscovered } from '../../machines/connection/selectors.ts'
import type { ConnectionCommand } from '../../machines/connection/events.ts'
import { AuthorizationError } from '../errors/authorization-error.ts'
import type { HostAction } from '../options/host-action.ts'
import { policyViolation } from '../options/policy.ts'
import { isIssuerOf } from '../protocol/server-facts.ts'
import type { ConnectionContext } from '../schemas/connection-context.ts'
import { invalidArgument } from '../schemas/parse-options.ts'
import { configuredIssuer, type ImportOptions, staticClient } from './call-options.ts'
import type { ConnectionRecord } from './record.ts'
import { disconnectsBetween, isDisconnected } from './revocation-result.ts'
import { fingerprintOf } from './routing.ts'

/** Stores credentials that the host already has, if no other tokens were stored since the call began. */
export async function importCredentials(
  record: ConnectionRecord,
  { clientInformation, tokens, issuer, ifAbsent }: ImportOptions,
): Promise<{ imported: boolean; actions: HostAction[] }> {
  const named = [tokens?.issuer, clientInformation?.issuer, issuer].filter((each) => each !== undefined)
  const importedIssuer = named[0] ?? configuredIssuer(record.services.options.clients, clientInformation, 'import()')
  if (importedIssuer !== undefined && !named.every((other) => isSame(record, importedIssuer, other)))
    throw invalidArgument('import().issuer', 'must be that of tokens.issuer and of clientInformation.issuer')
  const grant = tokens?.grant ?? 'authorization_code'
  const violation = policyViolation(record.policy, record.identity, {
    issuer: importedIssuer,
    grant: tokens && grant,
    scope: tokens?.scope,
  })
  if (violation !== undefined) throw new AuthorizationError(violation)
  const { refreshToken } = tokens ?? {}
  const importedToken = refreshToken === undefined ? undefined : fingerprintOf(record.services.nameKey, refreshToken)
  const view = await record.load()
  const { accepted, actions } = await record.run(
    (now): ConnectionCommand | undefined => {
      if (ifAbsent && now && isPresent(now.context, tokens !== undefined)) return undefined
      if (now && isReplaced(now.context, { refreshToken, importedToken })) return undefined
      const counterpart = now && issuerOfCounterpart(now.context, { clientInformation, tokens })
      if (importedIssuer !== undefined && counterpart !== undefined && !isSame(record, counterpart, importedIssuer))
        throw invalidArgument(
          'import().issuer',
          'must be that of the tokens or the client that were imported before: import both in one call to replace them',
        )
      return {
        type: 'credentials.imported',
        // A disconnect since the call began stores no tokens.
        generation: (view?.context.generation ?? 0) + (now ? disconnectsBetween(view?.context, now.context) : 0),
        issuer: importedIssuer,
        importedToken,
        clientInformation: staticClient(clientInformation, importedIssuer, now),
        tokens: tokens && {
          accessToken: tokens.accessToken,
          tokenType: tokens.tokenType ?? 'Bearer',
          scope: tokens.scope,
          requestedScope: tokens.scope,
          expiresAt: now === undefined ? tokens.expiresAt : now.toRecord(tokens.expiresAt),
          refreshToken: tokens.refreshToken,
          grant,
        },
      }
    },
    { view },
  )
  record.services.cache.forget(record.key)
  return { imported: accepted, actions }
}

/** Whether two issuers are those of one server, by its facts. */
function isSame({ services }: ConnectionRecord, one: string, other: string): boolean {
  return (
    isIssuerOf({ issuer: one }, services.facts(one), other) || isIssuerOf({ issuer: other }, services.facts(other), one)
  )
}

/** Whether an import with `ifAbsent` is not applied: it never brings back what was disconnected. */
function isPresent(context: ConnectionContext, withTokens: boolean): boolean {
  if (context.tokens !== undefined) return true
  return withTokens ? isDisconnected(context) : context.imported?.clientInformation !== undefined
}

/** Whether a refresh token was imported before, and other tokens have replaced it: the server may have rotated it. */
function isReplaced(
  { tokens, importedToken }: ConnectionContext,
  imported: { refreshToken: string | undefined; importedToken: string | undefined },
): boolean {
  const isSame = imported.importedToken !== undefined && imported.importedToken === importedToken
  return isSame && tokens !== undefined && tokens.refreshToken !== imported.refreshToken
}

/** The issuer of imported credentials that those of this call would be combined with: tokens are sent by their client. */
function issuerOfCounterpart(
  context: ConnectionContext,
  { clientInformation, tokens }: Pick<ImportOptions, 'clientInformation' | 'tokens'>,
): string | undefined {
  const { clientInformation: client, issuer, discovered } = context.imported ?? {}
  if (tokens === undefined) return isUndiscovered(context) ? issuer : undefined
  return clientInformation === undefined && !discovered ? client?.issuer || undefined : undefined
}
