import * as oauth from 'oauth4webapi'
import { type Clock, randomId } from '../clock.ts'
import { redactNames } from '../errors/redact.ts'
import { portError } from '../errors/port-error.ts'
import type { ConfiguredClient } from '../options/client-options.ts'
import type { SigningKey } from '../options/signing-key.ts'
import { isIssuerOf } from '../protocol/server-facts.ts'
import { isSupportedMethod } from '../protocol/token-endpoint.ts'
import type { ClientInformation } from '../schemas/credentials.ts'
import type { ClientRequestDependencies } from './dependencies.ts'
import { ASSERTION_ID_BYTES, CLIENT_ASSERTION_SECONDS } from './limits.ts'

/** The client in the form of oauth4webapi; an anonymous one has a placeholder id that is never sent. */
export function asClient({ clientId, source }: ClientInformation): oauth.Client {
  return { client_id: source === 'anonymous' ? source : clientId }
}

/**
 * The authentication of this client at an endpoint. A private key is looked up in the configured clients: a record
 * contains only the client id and the method.
 *
 * @throws `PortError` `CLIENT_AUTH_UNSUPPORTED` for an unsupported method, or if the secret or key that the method
 *   requires is missing.
 * @see [RFC 6749 §2.3.1](https://www.rfc-editor.org/rfc/rfc6749.html#section-2.3.1), [RFC 7523 §2.2](https://www.rfc-editor.org/rfc/rfc7523.html#section-2.2)
 */
export function clientAuthentication(
  { clients, clock, facts }: Pick<ClientRequestDependencies, 'clients' | 'clock' | 'facts'>,
  client: ClientInformation,
): oauth.ClientAuth {
  const { tokenEndpointAuthMethod: method, clientSecret, signingAlg, source } = client
  if (source === 'anonymous') return () => {}
  if (method === 'none') return oauth.None()
  if (method === 'private_key_jwt') {
    const key = configuredAs({ clients, facts }, client)?.signingKey
    if (key !== undefined) return privateKeyJwt(key, signingAlg, clock)
  } else if (isSupportedMethod(method) && clientSecret !== undefined) {
    return method === 'client_secret_post' ? oauth.ClientSecretPost(clientSecret) : basic(clientSecret)
  }
  throw portError('CLIENT_AUTH_UNSUPPORTED', 'notSent', { received: redactNames([method]) })
}

/** This client in the option `clients`: the one with its client id, at its issuer. */
function configuredAs(
  { clients, facts }: Pick<ClientRequestDependencies, 'clients' | 'facts'>,
  { issuer, clientId }: ClientInformation,
): ConfiguredClient | undefined {
  return clients.find(
    (configured) => configured.clientId === clientId && isIssuerOf({ issuer }, facts(issuer), configured.issuer),
  )
}

/**
 * This client of the host with the secret and the method that `clients` has for it; `undefined` if they are the same,
 * or `clients` has neither.
 */
export function asConfigured(
  deps: Pick<ClientRequestDependencies, 'clients' | 'facts'>,
  client: ClientInformation,
): ClientInformation | undefined {
  if (client.source !== 'configured' && client.source !== 'provided') return undefined
  const { clientSecret, tokenEndpointAuthMethod = client.tokenEndpointAuthMethod } = configuredAs(deps, client) ?? {}
  const isSameSecret = clientSecret === undefined || clientSecret === client.clientSecret
  if (isSameSecret && tokenEndpointAuthMethod === client.tokenEndpointAuthMethod) return undefined
  return {
    ...client,
    tokenEndpointAuthMethod,
    ...(!isSameSecret && { clientSecret, clientSecretExpiresAt: undefined }),
  }
}

/**
 * A client assertion whose only audience is the `issuer` that the request function is given, created for each request.
 * Without `nbf`, which a server whose clock is slightly slow would reject.
 *
 * @see [RFC 7523bis §4](https://datatracker.ietf.org/doc/html/draft-ietf-oauth-rfc7523bis)
 */
function privateKeyJwt(key: SigningKey, stored: string | undefined, clock: Clock): oauth.ClientAuth {
  // The key may have been replaced since the algorithm was chosen.
  const alg = key.algs.find((supported) => supported === stored) ?? key.algs[0] ?? ''
  const modify: oauth.ModifyAssertionFunction = (header, payload) => {
    const issuedAt = Math.floor(clock.now() / 1000)
    const jti = randomId(clock, ASSERTION_ID_BYTES)
    Object.assign(header, { alg, typ: 'client-authentication+jwt' })
    Object.assign(payload, { jti, iat: issuedAt, exp: issuedAt + CLIENT_ASSERTION_SECONDS })
    delete payload['nbf']
  }
  return async (...request) => {
    const privateKey = { key: await key.forAlg(alg), ...(key.kid !== undefined && { kid: key.kid }) }
    await oauth.PrivateKeyJwt(privateKey, { [oauth.modifyAssertion]: modify })(...request)
  }
}

/**
 * RFC 6749 §2.3.1, without encoding characters that form encoding leaves unchanged: many servers do not decode the
 * parts, and `oauth.ClientSecretBasic` encodes each hyphen as `%2D`.
 */
function basic(clientSecret: string): oauth.ClientAuth {
  return (_server, { client_id: clientId }, _body, headers) => {
    const credentials = `${formEncoded(clientId)}:${formEncoded(clientSecret)}`
    headers.set('authorization', `Basic ${Buffer.from(credentials).toString('base64')}`)
  }
}

const formEncoded = (text: string): string => new URLSearchParams([['', text]]).toString().slice(1)
