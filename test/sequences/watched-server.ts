import { TestAuthorizationServer } from '../../src/testing/index.ts'
import { noteResponse, readTokenRequest, type SentCredentials } from '../support/fleet/sent-credentials.ts'
import { LATE_MS, TOKEN_TTL_MS } from './times.ts'

/** An authorization server that notes what it is sent, whatever it answers. */
export class WatchedServer extends TestAuthorizationServer {
  /** Requests with an access token, which no authorization server should see. */
  readonly leaks: string[] = []
  readonly #sent: SentCredentials

  constructor(sent: SentCredentials) {
    super({ accessTokenTtlSeconds: TOKEN_TTL_MS / 1_000 })
    this.#sent = sent
    const answer = this.handle
    Object.defineProperty(this, 'handle', { value: (request: Request) => this.#watch(request, answer) })
  }

  async #watch(request: Request, answer: (request: Request) => Promise<Response>): Promise<Response> {
    if (/^bearer /i.test(request.headers.get('authorization') ?? '')) this.leaks.push(request.url)
    const sent = await readTokenRequest(request)
    if (sent === undefined) return await answer(request)
    this.#sent.add(sent)
    const beganAt = performance.now()
    const response = await answer(request)
    if (performance.now() - beganAt < LATE_MS) await noteResponse(sent, response)
    return response
  }
}
