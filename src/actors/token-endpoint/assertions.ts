import type {
  DiscoverServerInput,
  DiscoverServerOutput,
  RequestTokenInput,
  TokenResult,
} from '../../../machines/ports.ts'
import { stopwatch } from '../../clock.ts'
import { truncate } from '../../errors/failure.ts'
import { PortError, portError } from '../../errors/port-error.ts'
import { startDeadline, untilAborted } from '../../http/deadline.ts'
import type { AssertionRequest, IdentityProviderOptions } from '../../options/client-options.ts'
import { chooseMethod } from '../../protocol/client-authentication.ts'
import { JWT_BEARER, TOKEN_EXCHANGE } from '../../protocol/grants.ts'
import { AssertionSchema, ID_JAG, IdentityAssertionResponseSchema } from '../../schemas/endpoint-responses.ts'
import { check } from '../../schemas/wire.ts'
import type { AssertionDependencies } from '../dependencies.ts'
import { askTokenEndpoint, requestTokens, type TokenServer } from './token-request.ts'

/** RFC 8693 §3. */
const SUBJECT_TOKEN_TYPES = {
  id_token: 'urn:ietf:params:oauth:token-type:id_token',
  refresh_token: 'urn:ietf:params:oauth:token-type:refresh_token',
} as const

const rejected = 'EXCHANGE_REJECTED'

/**
 * Obtains tokens for a user of an organisation, by its identity provider's word: the ID token of the user's sign-in
 * there is exchanged for an assertion that is meant for this authorization server, and that assertion is the grant. A
 * new assertion for every access token, since servers take each once; it is kept nowhere.
 *
 * @throws `PortError` `GRANT_UNSUPPORTED` without an identity provider, `EXCHANGE_REJECTED` of either server, or as
 *   {@link obtainAssertion}, {@link requestTokens} and the discovery of the identity provider.
 * @see [Enterprise-managed authorization](https://modelcontextprotocol.io/extensions/auth/enterprise-managed-authorization), [RFC 8693 §2](https://www.rfc-editor.org/rfc/rfc8693.html#section-2), [RFC 7523 §2.1](https://www.rfc-editor.org/rfc/rfc7523.html#section-2.1)
 */
export function createRequestIdentityAssertion(
  deps: AssertionDependencies,
  discoverServer: (input: DiscoverServerInput) => Promise<DiscoverServerOutput>,
) {
  return async (input: RequestTokenInput, signal: AbortSignal): Promise<TokenResult> => {
    const { at, identity, server, scope, sendBefore } = input
    const recordTime = stopwatch(deps.clock, at)
    const { identityProvider: options } = deps
    if (options === undefined) throw portError('GRANT_UNSUPPORTED', 'notSent', { reason: 'noIdentityProvider' })
    // Identity providers want to know it, whatever the authorization server makes of it.
    const resource = server.resource ?? identity.server
    const provider = await findProvider(options, resource, (issuer) =>
      discoverServer({ at, identity, resource: { issuer } }),
    )
    const { tokenEndpoint } = provider
    const wanted = { connection: identity, audience: server.issuer, tokenEndpoint, resource, scope }
    const subject = await obtainAssertion(deps, ['id_token', 'refresh_token'], wanted, { sendBefore, signal })
    const exchange = {
      requested_token_type: ID_JAG,
      audience: server.issuer,
      subject_token: subject.assertion,
      subject_token_type: SUBJECT_TOKEN_TYPES[subject.kind === 'refresh_token' ? 'refresh_token' : 'id_token'],
      scope,
    }
    const answer = await askTokenEndpoint(
      deps,
      { at, sendBefore, server: provider, grantType: TOKEN_EXCHANGE, parameters: exchange, rejected },
      signal,
    )
    const checked = check(IdentityAssertionResponseSchema, answer.decoded.fields)
    if ('field' in checked) {
      const details = { ...answer.where, document: 'token exchange response', field: checked.field }
      throw portError('TOKEN_RESPONSE_INVALID', 'rejected', details)
    }
    const parameters = { assertion: checked.output.access_token }
    return await requestTokens(
      deps,
      { at: recordTime(), sendBefore, server, grantType: JWT_BEARER, parameters, rejected },
      signal,
    )
  }
}

/** The identity provider as a server whose token endpoint can be asked. Its metadata is read unless the host knows it. */
async function findProvider(
  { issuer, tokenEndpoint, clientId, clientSecret }: IdentityProviderOptions,
  resource: string,
  discover: (issuer: string) => Promise<DiscoverServerOutput>,
): Promise<TokenServer> {
  const { metadata } =
    tokenEndpoint === undefined
      ? await discover(issuer).catch((error: unknown) => {
          // Nothing of the grant was spent by looking.
          throw error instanceof PortError ? new PortError(error.failure, 'notSent') : error
        })
      : { metadata: { tokenEndpoint, tokenEndpointAuthMethodsSupported: undefined } }
  const { tokenEndpointAuthMethodsSupported: supported } = metadata
  const method = chooseMethod({ supported, registered: undefined, hasSecret: clientSecret !== undefined })
  if (method === undefined) {
    const offered = supported && truncate(supported.join(' '))
    throw portError('CLIENT_AUTH_UNSUPPORTED', 'notSent', { expected: truncate(issuer), offered })
  }
  const client = { issuer, clientId, clientSecret, tokenEndpointAuthMethod: method, source: 'configured' as const }
  return { issuer, tokenEndpoint: metadata.tokenEndpoint, resource, client }
}

/** Timers of Node know no more. */
const MAX_TIMER_MS = 2_147_483_647

/** An assertion that the host gave. Secret. */
export interface Assertion {
  readonly kind: AssertionRequest['kind']
  readonly assertion: string
}

/**
 * Asks the host for an assertion: for the first of these kinds that it has. It has as long as the request that the
 * assertion is for may still leave. What the host rejects with is not told, since it may quote a secret.
 *
 * @throws `PortError` (not sent) `GRANT_UNSUPPORTED` without the option, `AUTHORIZATION_REQUIRED` with reason
 *   `assertionUnavailable`, `HTTP_TIMEOUT` with reason `assertionTooLate`, `ABORTED`.
 */
export async function obtainAssertion(
  { assertions, clock }: Pick<AssertionDependencies, 'assertions' | 'clock'>,
  kinds: readonly AssertionRequest['kind'][],
  wanted: Omit<AssertionRequest, 'kind'>,
  { sendBefore, signal }: { sendBefore: number; signal: AbortSignal },
): Promise<Assertion> {
  if (assertions === undefined) throw portError('GRANT_UNSUPPORTED', 'notSent', { reason: 'noAssertions' })
  const leftMs = Math.min(Math.max(sendBefore - clock.monotonic(), 0), MAX_TIMER_MS)
  const deadline = startDeadline(leftMs, signal)
  const ask = async (kind: AssertionRequest['kind']): Promise<unknown> => assertions({ ...wanted, kind })
  try {
    for (const kind of kinds) {
      const checked = check(AssertionSchema, await untilAborted(ask(kind), deadline.signal))
      if ('output' in checked && checked.output !== undefined) return { kind, assertion: checked.output }
    }
  } catch {
    const { endedBy } = deadline
    if (endedBy !== undefined) throw portError(endedBy, 'notSent', { reason: 'assertionTooLate' })
  } finally {
    deadline.clear()
  }
  throw portError('AUTHORIZATION_REQUIRED', 'notSent', { reason: 'assertionUnavailable', expected: kinds.join(' ') })
}
