import { randomUUID } from 'node:crypto'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import { createRemoteJWKSet, exportJWK, generateKeyPair, jwtVerify, type JWTPayload, SignJWT } from 'jose'
import { listen, readText } from './control.ts'

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'
const TOKEN_TYPE = 'urn:ietf:params:oauth:token-type'
/** What the identity provider calls us. */
export const PROVIDER_CLIENT = { clientId: 'agents-at-idp', clientSecret: 'idp secret: a b' }
/** What the authorization server calls us. */
export const OUR_CLIENT = { clientId: 'agents-at-as', clientSecret: 'as secret: c d' }

type Form = Record<string, string>
type Answer = Record<string, unknown>

/** An issuer with a key of its own, whose token endpoint answers what `grant` makes of a form. */
async function startIssuer(grant: (form: Form, authorization: string | undefined, issuer: string) => Promise<Answer>) {
  const { privateKey, publicKey } = await generateKeyPair('ES256')
  const keys = { keys: [{ ...(await exportJWK(publicKey)), alg: 'ES256', use: 'sig' }] }
  const requests: Form[] = []
  const answer = async (request: IncomingMessage, response: ServerResponse): Promise<void> => {
    const send = (status: number, body: object): void => {
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    }
    if (request.url === '/jwks') return send(200, keys)
    if (request.url?.startsWith('/.well-known/')) {
      const methods = ['client_secret_basic', 'none']
      const metadata = { issuer: url, token_endpoint: `${url}/token`, jwks_uri: `${url}/jwks` }
      return send(200, { ...metadata, token_endpoint_auth_methods_supported: methods })
    }
    if (request.method !== 'POST' || request.url !== '/token') return send(404, { error: 'not_found' })
    const form = Object.fromEntries(new URLSearchParams(await readText(request)))
    requests.push(form)
    try {
      return send(200, await grant(form, request.headers.authorization, url))
    } catch (error) {
      return send(400, { error: error instanceof Refusal ? error.message : 'invalid_grant' })
    }
  }
  const http = createServer((request, response) => void answer(request, response))
  const { url, close } = await listen(http)
  const sign = (typ: string, claims: JWTPayload, lifetime = '5m'): Promise<string> =>
    new SignJWT({ jti: randomUUID(), ...claims })
      .setProtectedHeader({ alg: 'ES256', typ })
      .setIssuer(url)
      .setIssuedAt()
      .setExpirationTime(lifetime)
      .sign(privateKey)
  return { url, close, requests, sign }
}

/** A refusal by its wire code. */
class Refusal extends Error {}

function demand(isRight: boolean, error: string): void {
  if (!isRight) throw new Refusal(error)
}

function isBasic(authorization: string | undefined, { clientId, clientSecret }: typeof OUR_CLIENT): boolean {
  const parts = Buffer.from((authorization ?? '').replace(/^Basic /, ''), 'base64')
    .toString()
    .split(':')
  const [id, secret] = parts.map((part) => new URLSearchParams(`x=${part}`).get('x'))
  return id === clientId && secret === clientSecret
}

/** An identity provider that exchanges its own ID tokens for identity assertions, as the ID-JAG draft has it. */
export async function startIdentityProvider() {
  let refusal: string | undefined
  const provider = await startIssuer(async (form, authorization, issuer) => {
    demand(isBasic(authorization, PROVIDER_CLIENT), 'invalid_client')
    demand(form['grant_type'] === TOKEN_EXCHANGE, 'unsupported_grant_type')
    demand(form['requested_token_type'] === `${TOKEN_TYPE}:id-jag`, 'invalid_request')
    demand(form['subject_token_type'] === `${TOKEN_TYPE}:id_token`, 'invalid_request')
    demand(form['resource'] !== undefined && form['audience'] !== undefined, 'invalid_target')
    if (refusal !== undefined) throw new Refusal(refusal)
    const { payload } = await jwtVerify(form['subject_token'] ?? '', createRemoteJWKSet(new URL(`${issuer}/jwks`)), {
      issuer,
      audience: PROVIDER_CLIENT.clientId,
      typ: 'JWT',
    })
    const { audience: aud = '', resource, scope } = form
    const claims = { sub: payload.sub ?? '', aud, resource, scope, client_id: OUR_CLIENT.clientId }
    return {
      access_token: await provider.sign('oauth-id-jag+jwt', claims),
      issued_token_type: `${TOKEN_TYPE}:id-jag`,
      token_type: 'N_A',
      expires_in: 300,
    }
  })
  return {
    ...provider,
    /** What the user's sign-in brought. */
    idToken: (sub: string) => provider.sign('JWT', { sub, aud: PROVIDER_CLIENT.clientId }),
    /** The JWT of a workload of this platform. */
    workloadToken: (sub: string, aud: string) => provider.sign('JWT', { sub, aud }),
    /** From now on, refuses every exchange with this code. */
    refuse: (error: string) => void (refusal = error),
  }
}

/** An authorization server that trusts one identity provider, takes each assertion once, and issues no refresh tokens. */
export async function startAssertionServer(trusted: string, kind: 'identity' | 'workload') {
  const trustedKeys = createRemoteJWKSet(new URL(`${trusted}/jwks`))
  const used = new Set<string>()
  const server = await startIssuer(async (form, authorization, issuer) => {
    demand(form['grant_type'] === JWT_BEARER, 'unsupported_grant_type')
    const { resource = '', client_id: clientId } = form
    demand(resource !== '', 'invalid_target')
    if (kind === 'identity') demand(isBasic(authorization, OUR_CLIENT), 'invalid_client')
    else demand(authorization === undefined && clientId === undefined, 'invalid_client')
    const { payload } = await jwtVerify(form['assertion'] ?? '', trustedKeys, {
      issuer: trusted,
      audience: issuer,
      typ: kind === 'identity' ? 'oauth-id-jag+jwt' : 'JWT',
      requiredClaims: ['sub', 'exp', 'iat', 'jti'],
    })
    const { jti = '', sub = '' } = payload
    demand(!used.has(jti), 'invalid_grant')
    used.add(jti)
    if (kind === 'identity') {
      demand(payload['client_id'] === OUR_CLIENT.clientId, 'invalid_grant')
      demand(payload['resource'] === resource, 'invalid_target')
    }
    const claims = { sub, aud: resource, scope: 'mcp:tools', client_id: OUR_CLIENT.clientId }
    return {
      access_token: await server.sign('at+jwt', claims, '1h'),
      token_type: 'Bearer',
      expires_in: 3600,
      scope: 'mcp:tools',
    }
  })
  return server
}
