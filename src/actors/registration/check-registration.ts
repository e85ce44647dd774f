import type { CheckRegistrationInput, CheckRegistrationOutput } from '../../../machines/ports.ts'
import { randomId, stopwatch } from '../../clock.ts'
import { PortError, portError } from '../../errors/port-error.ts'
import { redactUrl } from '../../errors/redact.ts'
import type { ExchangeResponse } from '../../http/transport.ts'
import { GRANT_TYPES, INVENTED_CODE_PREFIX } from '../../schemas/grants.ts'
import type { ClientInformation } from '../../schemas/credentials.ts'
import {
  type ClientConfiguration,
  type RegistrationResponse,
  RegistrationResponseSchema,
} from '../../schemas/registration.ts'
import { check, parseJson } from '../../schemas/wire.ts'
import type { TokenRequestDependencies } from '../dependencies.ts'
import { isProofError } from '../endpoint-request.ts'
import { INVENTED_CODE_BYTES, MAX_TOKEN_RESPONSE_BYTES, USER_AGENT } from '../limits.ts'
import { sendTokenRequest } from '../token-endpoint/token-request.ts'
import { issuedConfiguration, issuedSecret } from './issued-credentials.ts'

/** The responses of a client configuration endpoint that has no such client (RFC 7592 §2.1), or no longer. */
const FORGOTTEN: ReadonlySet<number> = new Set([401, 404, 410])

/** The errors with which a token endpoint rejects a request of a client that it has, whatever their status. */
const CLIENT_FOUND: ReadonlySet<string | undefined> = new Set(['invalid_grant', 'invalid_redirect_uri'])

/**
 * Asks the authorization server whether it still has a dynamic registration: at its client configuration endpoint, or,
 * where the server gave none, by a token request with an invented code, for which every server first authenticates the
 * client.
 *
 * @throws `PortError` if the response decides nothing, or what the transport rejects with.
 * @see [RFC 7592 §2.1](https://www.rfc-editor.org/rfc/rfc7592.html#section-2.1), [RFC 6749 §5.2](https://www.rfc-editor.org/rfc/rfc6749.html#section-5.2)
 */
export function createCheckRegistration(deps: TokenRequestDependencies) {
  return async (input: CheckRegistrationInput, signal: AbortSignal): Promise<CheckRegistrationOutput> => {
    const recordTime = stopwatch(deps.clock, input.at)
    const { configuration } = input
    if (configuration === undefined) {
      const isForgotten = await isRejected(deps, input, signal)
      return { at: recordTime(), isForgotten }
    }
    const { status, text } = await readState(deps, configuration, input.sendBefore, signal)
    const at = recordTime()
    if (FORGOTTEN.has(status)) return { at, isForgotten: true }
    if (status !== 200) throw portError('RESPONSE_INVALID', 'rejected', { url: redactUrl(configuration.url), status })
    const checked = check(RegistrationResponseSchema, parseJson(text))
    if ('field' in checked || checked.output.clientId !== input.client.clientId) return { at, isForgotten: false }
    return { at, isForgotten: false, ...replacedCredentials(deps, input.client, configuration, checked.output, at) }
  }
}

/** The credentials that the server has replaced since: the old ones must not be used any more (RFC 7592 §2.1). */
function replacedCredentials(
  { clock }: TokenRequestDependencies,
  client: ClientInformation,
  configuration: ClientConfiguration,
  response: RegistrationResponse,
  at: number,
): Pick<CheckRegistrationOutput, 'client' | 'configuration'> {
  const { clientSecret } = response
  const isReplaced = client.clientSecret !== undefined && clientSecret !== undefined
  return {
    client: isReplaced ? { ...client, clientSecretExpiresAt: undefined, ...issuedSecret(response, at, clock) } : client,
    configuration: issuedConfiguration(response, configuration.url) ?? configuration,
  }
}

function readState(
  { transport }: TokenRequestDependencies,
  { url, accessToken }: ClientConfiguration,
  sendBefore: number,
  signal: AbortSignal,
): Promise<ExchangeResponse> {
  const headers = { accept: 'application/json', authorization: `Bearer ${accessToken}`, 'user-agent': USER_AGENT }
  return transport.exchange({ url, method: 'GET', headers, maxBytes: MAX_TOKEN_RESPONSE_BYTES, sendBefore, signal })
}

/** Whether the token endpoint rejects the client itself, and not only the invented code. */
async function isRejected(
  deps: TokenRequestDependencies,
  { at, sendBefore, client, tokenEndpoint, dpop }: CheckRegistrationInput,
  signal: AbortSignal,
): Promise<boolean> {
  const invented = (): string => randomId(deps.clock, INVENTED_CODE_BYTES)
  try {
    await sendTokenRequest(
      deps,
      {
        at,
        sendBefore,
        server: { issuer: client.issuer, tokenEndpoint, resource: undefined, client, dpop },
        grantType: GRANT_TYPES.authorization_code,
        parameters: {
          code: INVENTED_CODE_PREFIX + invented(),
          code_verifier: invented(),
          redirect_uri: client.redirectUri,
        },
        rejected: 'EXCHANGE_REJECTED',
      },
      signal,
    )
    return false
  } catch (error) {
    if (!(error instanceof PortError)) throw error
    const { code, details: { error: reason, status } = {} } = error.failure
    if (code !== 'EXCHANGE_REJECTED' && code !== 'CLIENT_REJECTED') throw error
    // A 401 is the rejection of a client (RFC 6749 §5.2), whatever a server calls it.
    return !CLIENT_FOUND.has(reason) && !isProofError(reason) && (status === 401 || code === 'CLIENT_REJECTED')
  }
}
