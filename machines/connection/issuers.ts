import { sameIssuer } from '../../src/protocol/same-issuer.ts'
import type { ConnectionContext } from '../../src/schemas/connection-context.ts'
import type { Change } from './events.ts'
import { serverOf } from './selectors.ts'

/** The issuer of the stored tokens; `undefined` for imported ones before it is known. */
export function issuerOfTokens(context: ConnectionContext): string | undefined {
  const { tokens, imported } = context
  return tokens && (serverOf(context, tokens.serverId)?.issuer ?? imported?.issuer)
}

/** The issuer of the current or last tokens. */
export function lastIssuer(context: ConnectionContext): string | undefined {
  return issuerOfTokens(context) ?? (isIssuerCurrent(context) ? context.issuer : undefined)
}

/** Whether the stored issuer is that of the last tokens: a release that does not have it leaves that of earlier ones. */
function isIssuerCurrent({ generation, issuerGeneration = generation }: ConnectionContext): boolean {
  return issuerGeneration === generation
}

/** Stores the issuer of the current or last tokens, beside which there may soon be none. */
export function withLastIssuer(context: ConnectionContext): Change {
  const issuer = lastIssuer(context)
  return { issuer, issuerGeneration: issuer === undefined ? undefined : context.generation }
}

/** Retains the stored issuer for other tokens: imported ones may name none. */
export function withIssuerOfLast(context: ConnectionContext, generation: number): Change {
  return context.issuer !== undefined && isIssuerCurrent(context) ? { issuerGeneration: generation } : {}
}

/** Whether an issuer is another one than that of the current or last tokens. */
export function isOtherIssuer(context: ConnectionContext, issuer: string | undefined): boolean {
  return issuer !== undefined && !sameIssuer(lastIssuer(context) ?? issuer, issuer)
}
