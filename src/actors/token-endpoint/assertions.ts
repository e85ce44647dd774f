import type { DiscoverServerInput, DiscoverServerOutput, RequestTokenInput } from '../../../machines/ports.ts'
import { assertDefined } from '../../../machines/assert.ts'
import { MAX_TIMER_MS } from '../../clock.ts'
import { PortError, portError } from '../../errors/port-error.ts'
import { redactNames, redactUrl } from '../../errors/redact.ts'
import { startDeadline, untilAborted } from '../../http/deadline.ts'
import type { AssertionRequest, IdentityProviderOptions } from '../../options/client-options.ts'
import { audienceOf, chooseMethod, TOKEN_EXCHANGE } from '../../protocol/token-endpoint.ts'
import { AssertionSchema, ID_JAG, IdentityAssertionResponseSchema } from '../../schemas/endpoint-responses.ts'
import { check } from '../../schemas/wire.ts'
import type { ServerMetadata } from '../../schemas/connection-context.ts'
import type { AssertionDependencies } from '../dependencies.ts'
import { sendTokenRequest, type TokenServer } from './token-request.ts'

/** RFC 8693 §3. */
const SUBJECT_TOKEN_TYPES = {
  id_token: 'urn:ietf:params:oauth:token-type:id_token',
  refresh_token: 'urn:ietf:params:oauth:token-type:refresh_token',
} as const

/** Dependencies of the exchange of an ID token for an identity assertion. */
export interface IdentityAssertionDependencies extends AssertionDependencies {
  discoverServer(input: DiscoverServerInput): Promise<DiscoverServerOutput>
}

/**
 * Exchanges the ID token of the user's sign-in at the identity provider for an assertion whose audience is one
 * authorization server. Servers accept each assertion once.
 *
 * @returns The assertion. Secret.
 * @throws `PortError` `GRANT_UNSUPPORTED` without an identity provider, `EXCHANGE_REJECTED`, or as
 *   {@link obtainAssertion}, {@link sendTokenRequest} and the discovery of the identity provider.
 * @see [Enterprise-managed authorization](https://modelcontextprotocol.io/extensions/auth/enterprise-managed-authorization), [RFC 8693 §2](https://www.rfc-editor.org/rfc/rfc8693.html#section-2)
 */
export async function exchangeForAssertion(
  deps: IdentityAssertionDependencies,
  { at, identity, server, scope, sendBefore }: RequestTokenInput,
  signal: AbortSignal,
): Promise<string> {
  const { identityProvider: options } = deps
  if (options === undefined) throw portError('GRANT_UNSUPPORTED', 'notSent', { reason: 'noIdentityProvider' })
  // Identity providers require it, even where the authorization server does not accept `resource`.
  const resource = server.resource ?? identity.server
  const provider = await findProvider(options, resource, async (issuer) => {
    const { metadata } = await deps.discoverServer({ at, identity, resource: { issuer } })
    return assertDefined(metadata, 'metadata of the identity provider')
  })
  const { tokenEndpoint } = provider
  const audience = audienceOf(server)
  const requested = { connection: identity, audience, tokenEndpoint, resource, scope }
  const subject = await obtainAssertion(deps, ['id_token', 'refresh_token'], requested, { sendBefore, signal })
  const parameters = {
    requested_token_type: ID_JAG,
    audience,
    subject_token: subject.assertion,
    subject_token_type: SUBJECT_TOKEN_TYPES[subject.kind === 'refresh_token' ? 'refresh_token' : 'id_token'],
    scope,
  }
  const rejected = 'EXCHANGE_REJECTED'
  const response = await sendTokenRequest(
    deps,
    { at, sendBefore, server: provider, grantType: TOKEN_EXCHANGE, parameters, rejected },
    signal,
  )
  const checked = check(IdentityAssertionResponseSchema, response.fields)
  if ('output' in checked) return checked.output.access_token
  const details = { ...response.where, document: 'token exchange response', field: checked.field }
  throw portError('TOKEN_RESPONSE_INVALID', 'rejected', details)
}

/** The identity provider's token endpoint. Its metadata is only loaded if no `tokenEndpoint` is configured. */
async function findProvider(
  { issuer, tokenEndpoint, clientId, clientSecret }: IdentityProviderOptions,
  resource: string,
  discover: (issuer: string) => Promise<ServerMetadata>,
): Promise<TokenServer> {
  const metadata =
    tokenEndpoint === undefined
      ? await discover(issuer).catch((error: unknown) => {
          // Discovery uses no credential of the grant.
          throw error instanceof PortError ? new PortError(error.failure, 'notSent') : error
        })
      : { tokenEndpoint, tokenEndpointAuthMethodsSupported: undefined }
  const { tokenEndpointAuthMethodsSupported: supported } = metadata
  const method = chooseMethod({ supported, registered: undefined, hasSecret: clientSecret !== undefined })
  if (method === undefined) {
    const offered = supported && redactNames(supported)
    throw portError('CLIENT_AUTH_UNSUPPORTED', 'notSent', { expected: redactUrl(issuer), offered })
  }
  const client = { issuer, clientId, clientSecret, tokenEndpointAuthMethod: method, source: 'configured' as const }
  return { issuer, tokenEndpoint: metadata.tokenEndpoint, resource, client }
}

/** An assertion from the host. Secret. */
export interface Assertion {
  readonly kind: AssertionRequest['kind']
  readonly assertion: string
}

/**
 * Calls the host's `assertions` for each of these kinds until it returns an assertion. The deadline is the one of the
 * request that the assertion is for. An error of the callback is not passed on, since it may quote a secret.
 *
 * @throws `PortError` (not sent) `GRANT_UNSUPPORTED` without the option, `AUTHORIZATION_REQUIRED` with reason
 *   `assertionUnavailable`, `HTTP_TIMEOUT` with reason `assertionTooLate`, `ABORTED`.
 */
export async function obtainAssertion(
  { assertions, clock }: Pick<AssertionDependencies, 'assertions' | 'clock'>,
  kinds: readonly AssertionRequest['kind'][],
  requested: Omit<AssertionRequest, 'kind'>,
  { sendBefore, signal }: { sendBefore: number; signal: AbortSignal },
): Promise<Assertion> {
  if (assertions === undefined) throw portError('GRANT_UNSUPPORTED', 'notSent', { reason: 'noAssertions' })
  const leftMs = Math.min(Math.max(sendBefore - clock.monotonic(), 0), MAX_TIMER_MS)
  const deadline = startDeadline(leftMs, signal)
  const call = async (kind: AssertionRequest['kind']): Promise<unknown> => assertions({ ...requested, kind })
  try {
    for (const kind of kinds) {
      const checked = check(AssertionSchema, await untilAborted(call(kind), deadline.signal))
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
