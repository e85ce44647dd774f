import * as v from 'valibot'
import { saveMarginMs } from '../durable/chart.ts'
import type { DpopPolicy } from '../protocol/dpop.ts'
import { type ConnectionIdentity, type Grant, GrantSchema, maybe } from '../schemas/credentials.ts'
import { callable, Count, DurationMs, Origin, Text, WebUrl } from '../schemas/option-values.ts'
import { invalidArgument, parseOptions } from '../schemas/parse-options.ts'

/** Rules of this deployment. Durations are in milliseconds. */
export interface PolicyOptions {
  /** Who shares a dynamic registration. @defaultValue 'deployment' */
  registrationScope?: 'deployment' | 'tenant' | 'connection' | undefined
  /** Picks one of several issuers that a resource names. @defaultValue the first allowed one */
  chooseIssuer?: ((issuers: readonly string[]) => string | undefined) | undefined
  /** How often in a day a connection's user is asked for the same scope that a server insists on. @defaultValue 3 */
  maxStepUps?: number | undefined
  /** How long a user may take to sign in. @defaultValue 300_000 */
  attemptTtlMs?: number | undefined
  /** How long a code is kept that could not be spent at once. @defaultValue 60_000 */
  codeTtlMs?: number | undefined
  /**
   * How long a token must still live to be answered without a refresh; at most a quarter of its lifetime. @defaultValue
   * 30_000
   */
  minTokenTtlMs?: number | undefined
  /** How long a claim holds. Must exceed `network.timeoutMs` by a margin for the save. @defaultValue 30_000 */
  leaseMs?: number | undefined
  /** How long after its lease a claim is left alone. @defaultValue 5_000 */
  graceMs?: number | undefined
  /** How long a token is answered from memory without asking the store. @defaultValue 10_000 */
  cacheMs?: number | undefined
  /**
   * Whether tokens are bound to a key of ours (RFC 9449): where the server offers it, or always, in which case other
   * tokens are refused. Counts for the next sign-in; tokens that are there are used as they are. @defaultValue 'never'
   */
  dpop?: DpopPolicy | undefined
  /** Accept protected resource metadata only for exactly this endpoint. @defaultValue false */
  strictResource?: boolean | undefined
  /** MCP endpoints or origins that may be signed in to. @defaultValue all */
  allowedServers?: string[] | undefined
  /** Authorization servers that may be used. @defaultValue all */
  allowedIssuers?: string[] | undefined
  /** Grants that may be used. @defaultValue all */
  allowedGrants?: Grant[] | undefined
  /** Scopes that may be asked for. @defaultValue all */
  allowedScopes?: string[] | undefined
  /**
   * How many dynamic registrations those who share one may send to an issuer in an hour; more fail with `RATE_LIMITED`.
   *
   * @defaultValue unlimited
   */
  registrationsPerIssuerPerHour?: number | undefined
  /** Origins that `returnTo` may lead to. @defaultValue none */
  returnToOrigins?: string[] | undefined
  /**
   * Whether tokens of another account than before are revoked instead of stored, with `ACCOUNT_CHANGED`, where an ID
   * token or `sub` tells. @defaultValue false: they are stored, and `accountChanged` is told
   */
  refuseAccountChange?: boolean | undefined
}

/**
 * The policy of one connection, complete.
 *
 * @internal
 */
export interface Policy {
  registrationScope: 'deployment' | 'tenant' | 'connection'
  chooseIssuer: ((issuers: readonly string[]) => string | undefined) | undefined
  maxStepUps: number
  registrationsPerIssuerPerHour: number | undefined
  refuseAccountChange: boolean
  attemptTtlMs: number
  codeTtlMs: number
  minTokenTtlMs: number
  leaseMs: number
  graceMs: number
  cacheMs: number
  dpop: DpopPolicy
  strictResource: boolean
  allowedServers: string[] | undefined
  allowedIssuers: string[] | undefined
  allowedGrants: Grant[] | undefined
  allowedScopes: string[] | undefined
  returnToOrigins: string[] | undefined
}

export const PolicySchema = v.strictObject({
  registrationScope: maybe(v.picklist(['deployment', 'tenant', 'connection'])),
  chooseIssuer: maybe(callable<NonNullable<PolicyOptions['chooseIssuer']>>()),
  maxStepUps: maybe(Count),
  attemptTtlMs: maybe(DurationMs),
  codeTtlMs: maybe(DurationMs),
  minTokenTtlMs: maybe(Count),
  leaseMs: maybe(DurationMs),
  graceMs: maybe(Count),
  cacheMs: maybe(Count),
  dpop: maybe(v.picklist(['never', 'whenOffered', 'required'])),
  strictResource: maybe(v.boolean()),
  allowedServers: maybe(v.array(WebUrl)),
  allowedIssuers: maybe(v.array(WebUrl)),
  allowedGrants: maybe(v.array(GrantSchema)),
  allowedScopes: maybe(v.array(Text)),
  registrationsPerIssuerPerHour: maybe(Count),
  returnToOrigins: maybe(v.array(Origin)),
  refuseAccountChange: maybe(v.boolean()),
})

/**
 * The policy of a connection, checked where it is used, since it may be a function.
 *
 * @internal
 */
export function policyFor(
  policy: PolicyOptions | ((connection: ConnectionIdentity) => PolicyOptions) | undefined,
  timeoutMs: number,
  connection: ConnectionIdentity,
): Policy {
  const given = typeof policy === 'function' ? parseOptions(PolicySchema, policy(connection), 'policy') : (policy ?? {})
  const leaseMs = given.leaseMs ?? 30_000
  if (timeoutMs + saveMarginMs(leaseMs) >= leaseMs)
    throw invalidArgument(
      'policy.leaseMs',
      `must exceed network.timeoutMs (${timeoutMs}) by a margin for the save of the result`,
    )
  return {
    registrationScope: given.registrationScope ?? 'deployment',
    chooseIssuer: given.chooseIssuer,
    maxStepUps: given.maxStepUps ?? 3,
    registrationsPerIssuerPerHour: given.registrationsPerIssuerPerHour,
    refuseAccountChange: given.refuseAccountChange ?? false,
    attemptTtlMs: given.attemptTtlMs ?? 300_000,
    codeTtlMs: given.codeTtlMs ?? 60_000,
    minTokenTtlMs: given.minTokenTtlMs ?? 30_000,
    leaseMs,
    graceMs: given.graceMs ?? 5_000,
    cacheMs: given.cacheMs ?? 10_000,
    dpop: given.dpop ?? 'never',
    strictResource: given.strictResource ?? false,
    allowedServers: given.allowedServers,
    allowedIssuers: given.allowedIssuers,
    allowedGrants: given.allowedGrants,
    allowedScopes: given.allowedScopes,
    returnToOrigins: given.returnToOrigins,
  }
}
