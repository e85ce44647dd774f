import * as oauth from 'oauth4webapi'
import { type Clock, randomId } from '../clock.ts'
import { truncate } from '../errors/failure.ts'
import { portError } from '../errors/port-error.ts'
import type { SigningKey } from '../options/signing-key.ts'
import { isSupportedMethod } from '../protocol/token-endpoint.ts'
import type { ClientInformation } from '../schemas/credentials.ts'
import type { ClientRequestDependencies } from './dependencies.ts'
import { ASSERTION_ID_BYTES, CLIENT_ASSERTION_SECONDS } from './limits.ts'

/** The client as oauth4webapi knows it; for an anonymous one a name that is never sent. */
export function asClient({ clientId, source }: ClientInformation): oauth.Client {
  return { client_id: source === 'anonymous' ? source : clientId }
}

/**
 * How this client proves to an endpoint who it is. A key is looked for among the configured clients: records name the
 * client and the method alone.
 *
 * @throws `PortError` `CLIENT_AUTH_UNSUPPORTED` for a method that we do not know, or that needs a secret or a key which
 *   is not there.
 * @see [RFC 6749 §2.3.1](https://www.rfc-editor.org/rfc/rfc6749.html#section-2.3.1), [RFC 7523 §2.2](https://www.rfc-editor.org/rfc/rfc7523.html#section-2.2)
 */
export function clientAuthentication(
  { clients, clock }: Pick<ClientRequestDependencies, 'clients' | 'clock'>,
  client: ClientInformation,
): oauth.ClientAuth {
  const { issuer, clientId, tokenEndpointAuthMethod: method, clientSecret, signingAlg, source } = client
  if (source === 'anonymous') return () => {}
  if (method === 'none') return oauth.None()
  if (method === 'private_key_jwt') {
    const key = clients.find((known) => known.issuer === issuer && known.clientId === clientId)?.signingKey
    if (key !== undefined) return privateKeyJwt(key, signingAlg, clock)
  } else if (isSupportedMethod(method) && clientSecret !== undefined) {
    return method === 'client_secret_post' ? oauth.ClientSecretPost(clientSecret) : basic(clientSecret)
  }
  throw portError('CLIENT_AUTH_UNSUPPORTED', 'notSent', { received: truncate(method) })
}

/**
 * A client assertion for the issuer alone, made anew for every request. Without `nbf`, which a clock that is a little
 * slow would refuse.
 *
 * @see [RFC 7523bis §4](https://datatracker.ietf.org/doc/html/draft-ietf-oauth-rfc7523bis)
 */
function privateKeyJwt(key: SigningKey, stored: string | undefined, clock: Clock): oauth.ClientAuth {
  // The key may be another one by now than when the algorithm was chosen.
  const alg = key.algs.find((able) => able === stored) ?? key.algs[0] ?? ''
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
 * RFC 6749 §2.3.1, with the characters left alone that a form leaves alone: many servers take the parts as they come,
 * and `oauth.ClientSecretBasic` makes `%2D` of each hyphen.
 */
function basic(clientSecret: string): oauth.ClientAuth {
  return (_server, { client_id: clientId }, _body, headers) => {
    const credentials = `${formEncoded(clientId)}:${formEncoded(clientSecret)}`
    headers.set('authorization', `Basic ${Buffer.from(credentials).toString('base64')}`)
  }
}

const formEncoded = (text: string): string => new URLSearchParams([['', text]]).toString().slice(1)
