import type { Received } from './network.ts'

const place = ({ origin, pathname }: URL): string => origin + pathname

/** What the servers of one row saw, and what they may not see. */
export class Audit {
  /** What was wrong, one sentence each. */
  readonly faults: string[] = []
  readonly authorizationRequests: Record<string, string>[] = []
  readonly tokenRequests: Record<string, string>[] = []
  readonly revoked: string[] = []
  readonly #secrets = new Map<string, { kind: string; places: ReadonlySet<string> }>()
  readonly #sent = new Set<string>()

  /** Notes a secret and the only places that may be sent it. */
  secret(kind: string, value: string, places: readonly (string | undefined)[]): string {
    const urls = places.filter((url) => url !== undefined).map((url) => place(new URL(url)))
    this.#secrets.set(value, { kind, places: new Set(urls) })
    return value
  }

  /** Notes the use of a code or refresh token, which may be sent once. */
  use(kind: string, value: string): void {
    if (this.#sent.has(value)) this.faults.push(`the ${kind} was sent twice`)
    this.#sent.add(value)
  }

  fault(condition: boolean, sentence: string): void {
    if (condition) this.faults.push(sentence)
  }

  /** Checks that no request had a secret that is not for its place. */
  check(received: readonly Received[]): void {
    for (const { url, headers, body, method } of received) {
      const basic = /^Basic (.+)$/.exec(headers['authorization'] ?? '')?.[1] ?? ''
      const text = [url.href, ...Object.values(headers), body, Buffer.from(basic, 'base64').toString()].join('\n')
      const plain = [text, decoded(text)].join('\n')
      for (const [value, { kind, places }] of this.#secrets) {
        this.fault(plain.includes(value) && !places.has(place(url)), `${method} ${place(url)} had a ${kind}`)
      }
    }
  }
}

function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return ''
  }
}
