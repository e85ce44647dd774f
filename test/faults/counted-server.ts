import type { EndpointResponse } from '../../src/testing/loopback-server.ts'
import type { TestEndpoint } from '../../src/testing/request-log.ts'
import { TestAuthorizationServer } from '../../src/testing/index.ts'

/** What a person granted at once: all tokens that derive from one authorization code. */
export interface Grant {
  readonly clientId: string
  readonly scope: string | undefined
  isRevoked: boolean
}

/** An authorization server that records which token belongs to which grant, and which grants it has revoked. */
export class CountedServer extends TestAuthorizationServer {
  /** In the order in which they were made. */
  readonly #grants: Grant[] = []
  /** By code, access token and refresh token. */
  readonly #grantOf = new Map<string, Grant>()
  readonly #redeemed = new Set<string>()

  /**
   * The live grants that nobody uses: neither the one that this token belongs to, nor one that a later grant of the
   * same client replaced, which must not be revoked, since many servers would revoke the later one with it. A client's
   * own tokens are no grant: they are replaced without a revocation, and expire.
   *
   * @param accessToken The token that the connection has; `undefined`: none.
   * @param scope Whose grants: each connection has a scope of its own. @defaultValue all
   */
  orphans(accessToken: string | undefined, scope?: string): Grant[] {
    const own = accessToken === undefined ? undefined : this.#grantOf.get(accessToken)
    const grants = this.#grants.filter((grant) => scope === undefined || grant.scope === scope)
    const isReplaced = ({ clientId }: Grant, index: number): boolean =>
      grants.slice(index + 1).some((later) => later.clientId === clientId)
    return grants.filter((grant, index) => !grant.isRevoked && grant !== own && !isReplaced(grant, index))
  }

  /** A server that has forgotten a client has forgotten its grants: nobody can renew or revoke them. */
  override pruneRegistrations(): void {
    super.pruneRegistrations()
    for (const grant of this.#grants) grant.isRevoked = true
  }

  protected override async respond(endpoint: TestEndpoint, request: Request): Promise<EndpointResponse> {
    if (endpoint !== 'token' && endpoint !== 'revocation') return await super.respond(endpoint, request)
    const form = new URLSearchParams(await request.clone().text())
    const answer = await super.respond(endpoint, request)
    if (endpoint === 'token') await this.#recordTokens(form, answer)
    else this.#revoke(form.get('token'))
    return answer
  }

  async #recordTokens(form: URLSearchParams, { outcome, response }: EndpointResponse): Promise<void> {
    const secret = form.get('code') ?? form.get('refresh_token')
    if (secret === null) return
    // Whoever presents what was redeemed may have stolen it: the server revokes the grant.
    if (outcome === 'invalid_grant' && this.#redeemed.has(secret)) this.#revoke(secret)
    if (outcome !== 'ok') return
    const issued = (await response.clone().json()) as { access_token: string; refresh_token?: string }
    const { access_token: accessToken, refresh_token: refreshToken = secret } = issued
    const grant = this.#grantOf.get(secret) ?? this.#newGrant(accessToken)
    for (const each of [secret, accessToken, refreshToken]) this.#grantOf.set(each, grant)
    this.#redeemed.add(secret)
  }

  #newGrant(accessToken: string): Grant {
    const { clientId = '', scope } = this.introspect(accessToken) ?? {}
    const grant = { clientId, scope, isRevoked: false }
    this.#grants.push(grant)
    return grant
  }

  #revoke(secret: string | null): void {
    const grant = this.#grantOf.get(secret ?? '')
    if (grant !== undefined) grant.isRevoked = true
  }
}
