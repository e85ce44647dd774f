import assert from 'node:assert/strict'
import * as v from 'valibot'
import { fingerprint, type TestAuthorizationServer } from '../../../src/testing/index.ts'

/** One token request. */
export interface Sent {
  /** The fingerprint of its code or refresh token; `undefined` if it has neither. */
  readonly secret: string | undefined
  readonly isCode: boolean
  /** The process that sent it, where that can be seen. */
  readonly by: object | undefined
  /** The server said that it did nothing, so that the same may be sent again. */
  isRefused: boolean
  /** Whether its sender may not know what became of it: no response, a 5xx, or it stopped since. */
  isDoubtful: boolean
  /** The access token that it brought. */
  issued: string | undefined
}

const ResponseSchema = v.object({ access_token: v.optional(v.string()), error: v.optional(v.string()) })

/** A token request that has no response yet; `undefined` for any other request. */
export async function readTokenRequest(request: Request, by?: object): Promise<Sent | undefined> {
  if (request.method !== 'POST' || new URL(request.url).pathname !== '/token') return undefined
  const form = new URLSearchParams(await request.clone().text())
  const code = form.get('code')
  const credential = code ?? form.get('refresh_token')
  const secret = credential === null ? undefined : fingerprint(credential)
  return { secret, isCode: code !== null, by, isRefused: false, isDoubtful: true, issued: undefined }
}

/** Notes a response that its sender has received. */
export async function noteResponse(sent: Sent, response: Response): Promise<void> {
  const { status } = response
  const { access_token: issued, error } = v.parse(ResponseSchema, await response.clone().json())
  // RFC 9449 §8: only the nonce was missing.
  sent.isRefused = status === 429 || status === 503 || error === 'use_dpop_nonce'
  sent.isDoubtful = status >= 500 && !sent.isRefused
  sent.issued = issued
}

/** The token requests of a fleet, in order, and how often each code and refresh token may be sent. */
export class SentCredentials {
  readonly #all: Sent[] = []
  #checked = 0

  /** How many requests there were. */
  get count(): number {
    return this.#all.length
  }

  /** How many codes and refresh tokens were sent more than once. */
  get sentAgain(): number {
    const secrets = this.#all.flatMap(({ secret, isRefused }) => (secret === undefined || isRefused ? [] : [secret]))
    return new Set(secrets.filter((secret, index) => secrets.indexOf(secret) < index)).size
  }

  add(sent: Sent): void {
    this.#all.push(sent)
  }

  /**
   * A process has stopped: it may not know what became of what it has sent since there were `from` requests. Answers
   * those that it does know once it goes on, since their responses have arrived.
   */
  doubt(from: number, by?: object): readonly Sent[] {
    const arrived = this.#all.slice(from).filter((each) => each.by === by && !each.isDoubtful)
    for (const each of arrived) each.isDoubtful = true
    return arrived
  }

  /** The access tokens that have arrived since there were `from` requests. */
  issuedSince(from: number): string[] {
    return this.#all.slice(from).flatMap(({ issued, isDoubtful }) => (issued && !isDoubtful ? [issued] : []))
  }

  /**
   * Checks the requests since the last check. A code or a refresh token is sent once, and once more where its sender
   * could not know what had become of it. A later call may try a refresh token again if that is still not known, since
   * no outage may end a connection.
   */
  check(): void {
    const latest = this.#all.slice(this.#checked)
    this.#checked = this.#all.length
    for (const { secret, isCode } of latest) {
      if (secret === undefined) continue
      const name = `${isCode ? 'code' : 'refresh token'} ${secret}`
      const sends = this.#all.filter((each) => each.secret === secret && !each.isRefused)
      const answered = sends.slice(0, -1).filter(({ isDoubtful }) => !isDoubtful)
      assert.equal(answered.length, 0, `${name} was sent again, although its sender had a response`)
      const counted = isCode ? sends : sends.filter((each) => latest.includes(each))
      assert.ok(counted.length <= 2, `${name} was sent ${counted.length} times`)
    }
  }
}

/** What one issuer gave goes to no other. */
export function checkOwnership(servers: readonly TestAuthorizationServer[]): void {
  for (const { requestLog } of servers)
    assert.deepEqual(
      [...requestLog.credentialUses()].filter(([, { isOwn }]) => !isOwn),
      [],
      'a credential was sent to a server that did not issue it',
    )
}
