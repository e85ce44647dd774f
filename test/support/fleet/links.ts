import type { TestAuthorizationServer } from '../../../src/testing/index.ts'

/** What a person decides at a link. */
export type Decision = 'callback' | 'deny'

/** The links that people were sent, and where each has led them back to. */
export class Links {
  readonly #servers: readonly TestAuthorizationServer[]
  readonly #links: string[] = []
  readonly #callbacks = new Map<string, string>()

  constructor(servers: readonly TestAuthorizationServer[]) {
    this.#servers = servers
  }

  /** The number of the newest one; -1 if there was none. */
  get newest(): number {
    return this.#links.length - 1
  }

  add(link: string): void {
    this.#links.push(link)
  }

  /** The callback URL of one of the links, if there are any; the same link leads back to the same place. */
  async callback(which: number, decision: Decision): Promise<string | undefined> {
    const link = this.#links[Math.max(0, which) % Math.max(1, this.#links.length)]
    if (link === undefined) return undefined
    const url = this.#callbacks.get(link) ?? (await this.open(link, decision))
    this.#callbacks.set(link, url)
    return url
  }

  /** Opens a link, and answers the callback URL. */
  open(link: string, decision: Decision = 'callback'): Promise<string> {
    const server = this.#servers.find(({ origin }) => link.startsWith(`${origin}/`))
    if (server === undefined) throw new Error('a link that leads nowhere')
    return decision === 'deny' ? server.deny(link) : server.approve(link)
  }
}
