import type { ExchangeCodeInput, RefreshTokensInput, RequestTokenInput, TokenResult } from '../../../machines/ports.ts'
import { stopwatch } from '../../clock.ts'
import type { FailureCode } from '../../errors/failure.ts'
import { redirectUriAt } from '../../protocol/redirect-uri.ts'
import { resourceToSend } from '../../protocol/resource-parameter.ts'
import { audienceOf } from '../../protocol/token-endpoint.ts'
import { GRANT_TYPES, type NonInteractiveGrant } from '../../schemas/grants.ts'
import { policyViolation } from '../../options/policy.ts'
import type { ConnectionDependencies, StoredClientDependencies, TokenRequestDependencies } from '../dependencies.ts'
import { withCurrentClient } from '../registration/current-client.ts'
import { exchangeForAssertion, type IdentityAssertionDependencies, obtainAssertion } from './assertions.ts'
import { requestTokens } from './token-request.ts'

type Parameters = Readonly<Record<string, string | undefined>>
type GrantDependencies = TokenRequestDependencies & StoredClientDependencies & Pick<ConnectionDependencies, 'policy'>

/** What one grant adds to a token request. */
interface GrantRow<Dependencies, Input> {
  readonly grantType: string
  /** The failure when the token endpoint rejects it. */
  readonly rejected: FailureCode
  readonly parameters: (deps: Dependencies, input: Input, signal: AbortSignal) => Parameters | Promise<Parameters>
}

/**
 * An authorization code, at the issuer of its attempt only.
 *
 * @see [RFC 6749 §4.1.3](https://www.rfc-editor.org/rfc/rfc6749.html#section-4.1.3), [RFC 7636 §4.5](https://www.rfc-editor.org/rfc/rfc7636.html#section-4.5)
 */
const AUTHORIZATION_CODE: GrantRow<GrantDependencies, ExchangeCodeInput> = {
  grantType: GRANT_TYPES.authorization_code,
  rejected: 'EXCHANGE_REJECTED',
  parameters: ({ client }, { server, code, verifier }) => ({
    code,
    code_verifier: verifier,
    redirect_uri: server.client.redirectUri ?? redirectUriAt(client.redirectUri, server.issuer),
  }),
}

/**
 * A refresh token, at its issuer only. Without `scope` the server keeps the granted one; some servers require it.
 *
 * @see [RFC 6749 §6](https://www.rfc-editor.org/rfc/rfc6749.html#section-6)
 */
const REFRESH_TOKEN: GrantRow<GrantDependencies, RefreshTokensInput> = {
  grantType: 'refresh_token',
  rejected: 'REFRESH_REJECTED',
  parameters: ({ facts }, { server, refreshToken, scope }) => ({
    refresh_token: refreshToken,
    scope: facts(server.issuer).refresh?.scope === 'repeat' ? scope : undefined,
  }),
}

/**
 * The non-interactive grants. An assertion is obtained for each token request and never stored.
 *
 * @see [RFC 6749 §4.4](https://www.rfc-editor.org/rfc/rfc6749.html#section-4.4), [RFC 7523 §2.1](https://www.rfc-editor.org/rfc/rfc7523.html#section-2.1)
 */
const NON_INTERACTIVE: Record<
  NonInteractiveGrant,
  GrantRow<IdentityAssertionDependencies & GrantDependencies, RequestTokenInput>
> = {
  client_credentials: {
    grantType: GRANT_TYPES.client_credentials,
    rejected: 'EXCHANGE_REJECTED',
    parameters: (_deps, { scope, parameters }) => ({ ...further(parameters), scope }),
  },
  jwt_bearer: {
    grantType: GRANT_TYPES.jwt_bearer,
    rejected: 'EXCHANGE_REJECTED',
    async parameters(deps, { identity: connection, server, scope, parameters, sendBefore }, signal) {
      const { tokenEndpoint, resource } = server
      const requested = { connection, audience: audienceOf(server), tokenEndpoint, resource, scope }
      const { assertion } = await obtainAssertion(deps, ['workload'], requested, { sendBefore, signal })
      return { ...further(parameters), assertion, scope }
    },
  },
  identity_assertion: {
    grantType: GRANT_TYPES.identity_assertion,
    rejected: 'EXCHANGE_REJECTED',
    parameters: async (deps, input, signal) => ({
      ...further(input.parameters),
      assertion: await exchangeForAssertion(deps, input, signal),
    }),
  },
}

/** The caller's parameters; an empty one is omitted. */
function further(parameters: Parameters | undefined): Parameters {
  return Object.fromEntries(Object.entries(parameters ?? {}).filter(([, value]) => value !== ''))
}

async function requestByGrant<
  Dependencies extends GrantDependencies,
  Input extends ExchangeCodeInput | RefreshTokensInput | RequestTokenInput,
>(
  deps: Dependencies,
  { grantType, rejected, parameters }: GrantRow<Dependencies, Input>,
  input: Input,
  signal: AbortSignal,
): Promise<TokenResult> {
  const recordTime = stopwatch(deps.clock, input.at)
  const grantParameters = await parameters(deps, input, signal)
  const { identity, server, sendBefore } = input
  const dpopKey = 'dpopKey' in input ? input.dpopKey : undefined
  const nonce = 'nonce' in input ? input.nonce : undefined
  const request = { sendBefore, grantType, parameters: grantParameters, rejected, dpopKey, nonce }
  const result = await withCurrentClient(deps, { identity, recordTime, client: server.client }, (client) =>
    requestTokens(deps, { ...request, at: recordTime(), server: { ...server, client } }, signal),
  )
  // What was requested was allowed when that was decided; the server may have granted more.
  const { scope, isScopePartial } = result
  const violation = policyViolation(deps.policy(identity), identity, { issuer: server.issuer, scope, isScopePartial })
  return violation === undefined ? result : { ...result, discarded: violation }
}

/**
 * Redeems an authorization code.
 *
 * @throws `PortError` `EXCHANGE_REJECTED`, or as {@link requestTokens}.
 */
export function createExchangeCode(deps: GrantDependencies) {
  return (input: ExchangeCodeInput, signal: AbortSignal): Promise<TokenResult> =>
    requestByGrant(deps, AUTHORIZATION_CODE, input, signal)
}

/**
 * Redeems a refresh token.
 *
 * @throws `PortError` `REFRESH_REJECTED` (`details.error` is `invalid_grant` for the token itself), or as
 *   {@link requestTokens}.
 */
export function createRefreshTokens(deps: GrantDependencies) {
  return (input: RefreshTokensInput, signal: AbortSignal): Promise<TokenResult> => {
    const { server } = input
    const resource = resourceToSend(deps.facts(server.issuer).resource, server.resource, 'refresh')
    return requestByGrant(deps, REFRESH_TOKEN, { ...input, server: { ...server, resource } }, signal)
  }
}

/**
 * Obtains tokens by the non-interactive grant that the claim names.
 *
 * @throws `PortError` `EXCHANGE_REJECTED`, or as {@link obtainAssertion}, {@link exchangeForAssertion} and
 *   {@link requestTokens}.
 */
export function createRequestToken(deps: IdentityAssertionDependencies & GrantDependencies) {
  return (input: RequestTokenInput, signal: AbortSignal): Promise<TokenResult> =>
    requestByGrant(deps, NON_INTERACTIVE[input.grant], input, signal)
}
