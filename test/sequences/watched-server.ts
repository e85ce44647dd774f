import { fingerprint, TestAuthorizationServer } from '../../src/testing/index.ts'

/** One request that spent a code or a refresh token. */
export interface Sent {
  readonly secret: string
  readonly isCode: boolean
  /** The server said that it did nothing (429, 503), so that the same may be sent again. */
  isRefused: boolean
}

/** An authorization server that notes what it is sent, whatever it answers. */
export class WatchedServer extends TestAuthorizationServer {
  readonly sent: Sent[] = []
  /** Requests with a bearer token, which no authorization server should see. */
  readonly leaks: string[] = []

  constructor() {
    super()
    const answer = this.handle
    Object.defineProperty(this, 'handle', { value: (request: Request) => this.#watch(request, answer) })
  }

  async #watch(request: Request, answer: (request: Request) => Promise<Response>): Promise<Response> {
    if (/^bearer /i.test(request.headers.get('authorization') ?? '')) this.leaks.push(request.url)
    const form = new URLSearchParams(request.url.endsWith('/token') ? await request.clone().text() : '')
    const code = form.get('code')
    const secret = code ?? form.get('refresh_token')
    if (secret === null) return await answer(request)
    const sent: Sent = { secret: fingerprint(secret), isCode: code !== null, isRefused: false }
    this.sent.push(sent)
    const response = await answer(request)
    sent.isRefused = response.status === 429 || response.status === 503
    return response
  }
}
