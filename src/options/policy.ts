import * as v from 'valibot'
import { leastLeaseMs } from '../durable/chart.ts'
import { failure, type Failure } from '../errors/failure.ts'
import { redactUrl } from '../errors/redact.ts'
import { canonicalServer } from '../protocol/discovery.ts'
import type { DpopPolicy } from '../protocol/dpop.ts'
import { sameIssuer } from '../protocol/same-issuer.ts'
import { scopeBeyond, shownScope } from '../protocol/scopes.ts'
import { type ConnectionIdentity, GrantSchema, maybe } from '../schemas/credentials.ts'
import type { Grant } from '../schemas/grants.ts'
import { callable, Count, DelayMs, DurationMs, ExactUrl, Origin, Text } from '../schemas/option-values.ts'
import { invalidArgument, parseOptions } from '../schemas/parse-options.ts'

/** Rules of this deployment. Durations are in milliseconds, at most 2,147,483,647 (24 days). */
export interface PolicyOptions {
  /** Scope within which one dynamic client registration is shared. @defaultValue 'deployment' */
  registrationScope?: 'deployment' | 'tenant' | 'connection' | undefined
  /**
   * Selects one of the issuers that a resource lists. A throw or rejection becomes a process warning with the code
   * `AUTHCHART_CALLBACK_FAILED`, and fails the call with `POLICY_REFUSED`, reason `chooseIssuerFailed`.
   *
   * @defaultValue that of the current or last tokens if it is listed, or the first allowed one
   */
  chooseIssuer?: ((issuers: readonly string[]) => string | undefined) | undefined
  /** Maximum step-up authorizations per connection, scope and day. @defaultValue 3 */
  maxStepUps?: number | undefined
  /** How long an authorization request awaits its callback. @defaultValue 300_000 */
  attemptTtlMs?: number | undefined
  /**
   * How long an unredeemed authorization code is retained for retry. Must exceed `leaseMs` + `graceMs`, so that another
   * process can send the code of one that died. @defaultValue 60_000
   */
  codeTtlMs?: number | undefined
  /**
   * Minimum remaining lifetime of a token that is returned without a refresh; at most a quarter of its lifetime.
   *
   * @defaultValue 30_000
   */
  minTokenTtlMs?: number | undefined
  /**
   * Lease of a claim. Must exceed `network.timeoutMs` by more than the margin for the save of the result: 5 seconds, or
   * a quarter of the lease if that is less. @defaultValue 30_000
   */
  leaseMs?: number | undefined
  /**
   * Grace period after lease expiry before another process takes over the claim; after a store outage it begins once
   * the store takes writes again. Should exceed the reconnect delay of the store's client. @defaultValue 5_000
   */
  graceMs?: number | undefined
  /** In-memory cache TTL for access tokens. @defaultValue 10_000 */
  cacheMs?: number | undefined
  /**
   * Whether tokens are bound to a DPoP key (RFC 9449): if the server offers it, or always, in which case unbound tokens
   * are rejected. Applies from the next sign-in on; stored tokens are used as they are. @defaultValue 'never'
   */
  dpop?: DpopPolicy | undefined
  /** Accepts protected resource metadata only for exactly this endpoint. @defaultValue false */
  strictResource?: boolean | undefined
  /**
   * Whether `connection.fetch` of a connection that never had tokens sends requests without one, so that servers which
   * require no authorization work. @defaultValue 'firstContact'
   */
  unauthenticatedRequests?: 'firstContact' | 'never' | undefined
  /**
   * MCP endpoints or origins that connections may use; an origin with or without a final slash stands for all its
   * endpoints, and there are no wildcards. This list and the next three hold at every use: what is stored and no longer
   * allowed gives no token, is not renewed, and its callbacks are not redeemed (`POLICY_REFUSED`).
   *
   * @defaultValue all
   */
  allowedServers?: string[] | undefined
  /** Issuers that may be used, without wildcards. @defaultValue all */
  allowedIssuers?: string[] | undefined
  /** Grants that may be used. @defaultValue all */
  allowedGrants?: Grant[] | undefined
  /**
   * Scopes that may be requested and granted: tokens of more scope, or of scope that cannot be read or is too long to
   * store, are revoked and not stored, or, beside usable tokens of the same client, only not stored. Where scope would
   * be requested, or a server lists any, and all of it is missing here, `authorize()` fails. A server that names no
   * scope in its response is believed to have granted what was requested, or else its default. @defaultValue all
   */
  allowedScopes?: string[] | undefined
  /**
   * Maximum dynamic registrations per issuer, `registrationScope` and hour. Without a usable client, further ones fail
   * with `RATE_LIMITED`; a client that is only not registered for the requested scope is used as it is.
   *
   * @defaultValue unlimited
   */
  registrationsPerIssuerPerHour?: number | undefined
  /**
   * Maximum dynamic registrations that an MCP server causes, per `registrationScope` and hour; its first one is always
   * made. At further issuers that it names, counted in each process: beyond it they fail with `RATE_LIMITED`. At one
   * issuer, those that replace a client: for further scopes that MCP servers name, by `authorize({ reregister })`, and
   * for one that its server has forgotten; beyond it a usable client is used as it is, and without one only
   * `registrationsPerIssuerPerHour` applies.
   *
   * @defaultValue 20
   */
  registrationsPerServerPerHour?: number | undefined
  /** Origins that `returnTo` may have. @defaultValue none */
  returnToOrigins?: string[] | undefined
  /**
   * Whether tokens of a sign-in that are not certain to be of the same account as before, by the `sub` of the ID token
   * or token response and its issuer, are revoked with `ACCOUNT_CHANGED` instead of stored: those of another account,
   * and once an account is known, those whose response names none (beside usable tokens of the same client, they are
   * only not stored), or that are of another issuer. `disconnect()` forgets the account. @defaultValue false: they are
   * stored, and `accountChanged` is emitted
   */
  refuseAccountChange?: boolean | undefined
  /**
   * Whether `authorize()` fails with `POLICY_REFUSED`, reason `issuerChanged`, if the server names another issuer than
   * that of the current or last tokens. `disconnect()` forgets that issuer. @defaultValue false: the new issuer is
   * used, the grant that its tokens replace is revoked, and `issuerChanged` is emitted
   */
  refuseIssuerChange?: boolean | undefined
}

/**
 * The policy of one connection, with its defaults.
 *
 * @internal
 */
export interface Policy {
  registrationScope: 'deployment' | 'tenant' | 'connection'
  chooseIssuer: ((issuers: readonly string[]) => string | undefined) | undefined
  maxStepUps: number
  registrationsPerIssuerPerHour: number | undefined
  registrationsPerServerPerHour: number
  refuseAccountChange: boolean
  refuseIssuerChange: boolean
  attemptTtlMs: number
  codeTtlMs: number
  minTokenTtlMs: number
  leaseMs: number
  graceMs: number
  cacheMs: number
  dpop: DpopPolicy
  strictResource: boolean
  unauthenticatedRequests: 'firstContact' | 'never'
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
  minTokenTtlMs: maybe(DelayMs),
  leaseMs: maybe(DurationMs),
  graceMs: maybe(DelayMs),
  cacheMs: maybe(DelayMs),
  dpop: maybe(v.picklist(['never', 'whenOffered', 'required'])),
  strictResource: maybe(v.boolean()),
  unauthenticatedRequests: maybe(v.picklist(['firstContact', 'never'])),
  allowedServers: maybe(v.array(ExactUrl)),
  allowedIssuers: maybe(v.array(ExactUrl)),
  allowedGrants: maybe(v.array(GrantSchema)),
  allowedScopes: maybe(
    v.array(v.pipe(Text, v.regex(/^\S+$/, 'must be one scope, without whitespace: each is a member of its own'))),
  ),
  registrationsPerIssuerPerHour: maybe(Count),
  registrationsPerServerPerHour: maybe(Count),
  returnToOrigins: maybe(v.array(Origin)),
  refuseAccountChange: maybe(v.boolean()),
  refuseIssuerChange: maybe(v.boolean()),
})

/**
 * The policy of a connection. Parsed at each use, since it may be a function.
 *
 * @internal
 */
export function policyFor(
  policy: PolicyOptions | ((connection: ConnectionIdentity) => PolicyOptions) | undefined,
  timeoutMs: number,
  connection: ConnectionIdentity,
): Policy {
  const rules = typeof policy === 'function' ? parseResult(policy(connection)) : (policy ?? {})
  const { leaseMs = 30_000, graceMs = 5_000, codeTtlMs = 60_000 } = rules
  const leastMs = leastLeaseMs(timeoutMs)
  if (leaseMs < leastMs)
    throw invalidArgument(
      'policy.leaseMs',
      `must be at least ${leastMs}: network.timeoutMs (${timeoutMs}) and the margin for the save of the result`,
    )
  if (codeTtlMs <= leaseMs + graceMs)
    throw invalidArgument(
      'policy.codeTtlMs',
      `must exceed policy.leaseMs + policy.graceMs (${leaseMs + graceMs}), so that another process can send the code of one that died`,
    )
  return {
    registrationScope: rules.registrationScope ?? 'deployment',
    chooseIssuer: rules.chooseIssuer,
    maxStepUps: rules.maxStepUps ?? 3,
    registrationsPerIssuerPerHour: rules.registrationsPerIssuerPerHour,
    registrationsPerServerPerHour: rules.registrationsPerServerPerHour ?? 20,
    refuseAccountChange: rules.refuseAccountChange ?? false,
    refuseIssuerChange: rules.refuseIssuerChange ?? false,
    attemptTtlMs: rules.attemptTtlMs ?? 300_000,
    codeTtlMs,
    minTokenTtlMs: rules.minTokenTtlMs ?? 30_000,
    leaseMs,
    graceMs,
    cacheMs: rules.cacheMs ?? 10_000,
    dpop: rules.dpop ?? 'never',
    strictResource: rules.strictResource ?? false,
    unauthenticatedRequests: rules.unauthenticatedRequests ?? 'firstContact',
    allowedServers: rules.allowedServers?.map((allowed, index) =>
      canonicalServer(allowed, `policy.allowedServers[${index}]`),
    ),
    allowedIssuers: rules.allowedIssuers,
    allowedGrants: rules.allowedGrants,
    allowedScopes: rules.allowedScopes,
    returnToOrigins: rules.returnToOrigins,
  }
}

function parseResult(result: unknown): v.InferOutput<typeof PolicySchema> {
  if (typeof result !== 'object' || result === null)
    throw invalidArgument('policy', 'must return an object, such as {} for the defaults', 'ERR_INVALID_ARG_TYPE')
  return parseOptions(PolicySchema, result, 'policy')
}

/**
 * What a policy allows; without a list, everything.
 *
 * @internal
 */
export interface AllowLists {
  readonly allowedServers?: readonly string[] | undefined
  readonly allowedIssuers?: readonly string[] | undefined
  readonly allowedGrants?: readonly Grant[] | undefined
  readonly allowedScopes?: readonly string[] | undefined
}

/** What credentials, or a request for some, have to be allowed for. What is `undefined` is not known, or left open. */
interface Use {
  issuer?: string | undefined
  grant?: Grant | undefined
  scope?: string | undefined
  /** More was granted than `scope` contains. */
  isScopePartial?: boolean | undefined
}

/**
 * Why the policy does not allow a use of a server; `undefined` if it does.
 *
 * @internal
 */
export function policyViolation(
  { allowedServers, allowedIssuers, allowedGrants, allowedScopes }: AllowLists,
  { server }: Pick<ConnectionIdentity, 'server'>,
  { issuer, grant, scope, isScopePartial }: Use,
): Failure | undefined {
  if (!isServerAllowed(server, allowedServers))
    return failure('POLICY_REFUSED', { received: redactUrl(server), reason: 'allowedServers' })
  if (issuer !== undefined && allowedIssuers?.some((allowed) => sameIssuer(allowed, issuer)) === false)
    return failure('POLICY_REFUSED', { received: redactUrl(issuer), reason: 'issuerNotAllowed' })
  const disallowed = allowedScopes && scopeBeyond(scope, allowedScopes)
  if (disallowed !== undefined || (allowedScopes && isScopePartial))
    return failure('POLICY_REFUSED', { received: disallowed && shownScope(disallowed), reason: 'allowedScopes' })
  if (grant !== undefined && allowedGrants?.includes(grant) === false)
    return failure('POLICY_REFUSED', { received: grant, reason: 'allowedGrants' })
  return undefined
}

/**
 * Whether the policy allows an MCP endpoint, by its URL or by its origin. All in their canonical form.
 *
 * @internal
 */
export function isServerAllowed(server: string, allowedServers: readonly string[] | undefined): boolean {
  if (allowedServers === undefined) return true
  return allowedServers.includes(server) || allowedServers.includes(`${new URL(server).origin}/`)
}
