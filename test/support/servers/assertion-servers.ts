import { createRemoteJWKSet, jwtVerify, type JWTPayload } from 'jose'
import { type Answered, TestServer } from '../../../src/testing/loopback-server.ts'
import type { TestEndpoint } from '../../../src/testing/test-ledger.ts'
import { createSigningKey, type SigningKey } from './signing-key.ts'

const JWT_BEARER = 'urn:ietf:params:oauth:grant-type:jwt-bearer'
const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange'
const TOKEN_TYPE = 'urn:ietf:params:oauth:token-type'
/** What the identity provider calls us. */
export const PROVIDER_CLIENT = { clientId: 'agents-at-idp', clientSecret: 'idp secret: a b' }
/** What the authorization server calls us. */
export const OUR_CLIENT = { clientId: 'agents-at-as', clientSecret: 'as secret: c d' }

type Form = Record<string, string>
type Answer = Record<string, unknown>

type Grant = (form: Form, authorization: string | undefined, issuer: Issuer) => Promise<Answer>

/** An issuer with a key of its own, whose token endpoint answers what `grant` makes of a form. */
class Issuer extends TestServer {
  /** The forms that its token endpoint was sent. */
  readonly requests: Form[] = []
  readonly #key: SigningKey
  readonly #grant: Grant

  constructor(key: SigningKey, grant: Grant) {
    super({})
    this.#key = key
    this.#grant = grant
  }

  sign(typ: string, claims: JWTPayload, lifetime = '5m'): Promise<string> {
    return this.#key.sign(typ, this.origin, claims, lifetime)
  }

  protected override endpointOf(method: string, path: string): TestEndpoint {
    if (method === 'POST' && path === '/token') return 'token'
    return path === '/jwks' || path.startsWith('/.well-known/') ? 'serverMetadata' : 'unknown'
  }

  protected override async answer(endpoint: TestEndpoint, request: Request): Promise<Answered> {
    if (endpoint === 'unknown') return answered('not_found', { error: 'not_found' }, 404)
    if (endpoint === 'serverMetadata')
      return answered('ok', new URL(request.url).pathname === '/jwks' ? this.#key.jwks : this.#metadata())
    const form = Object.fromEntries(new URLSearchParams(await request.text()))
    this.requests.push(form)
    try {
      return answered('ok', await this.#grant(form, request.headers.get('authorization') ?? undefined, this))
    } catch (error) {
      const code = error instanceof Refusal ? error.message : 'invalid_grant'
      return answered(code, { error: code }, 400)
    }
  }

  #metadata(): object {
    return {
      issuer: this.origin,
      token_endpoint: `${this.origin}/token`,
      jwks_uri: `${this.origin}/jwks`,
      token_endpoint_auth_methods_supported: ['client_secret_basic', 'none'],
    }
  }
}

const answered = (outcome: string, body: object, status = 200): Answered => ({
  outcome,
  response: Response.json(body, { status }),
})

const startIssuer = async (grant: Grant): Promise<Issuer> => await new Issuer(await createSigningKey(), grant).listen()

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
    const { payload } = await jwtVerify(
      form['subject_token'] ?? '',
      createRemoteJWKSet(new URL(`${issuer.origin}/jwks`)),
      {
        issuer: issuer.origin,
        audience: PROVIDER_CLIENT.clientId,
        typ: 'JWT',
      },
    )
    const { audience: aud = '', resource, scope } = form
    const claims = { sub: payload.sub ?? '', aud, resource, scope, client_id: OUR_CLIENT.clientId }
    return {
      access_token: await issuer.sign('oauth-id-jag+jwt', claims),
      issued_token_type: `${TOKEN_TYPE}:id-jag`,
      token_type: 'N_A',
      expires_in: 300,
    }
  })
  return {
    url: provider.origin,
    requests: provider.requests,
    close: () => provider.close(),
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
      audience: issuer.origin,
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
      access_token: await issuer.sign('at+jwt', claims, '1h'),
      token_type: 'Bearer',
      expires_in: 3600,
      scope: 'mcp:tools',
    }
  })
  return { url: server.origin, requests: server.requests, close: () => server.close() }
}
