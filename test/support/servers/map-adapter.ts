/** One thing that oidc-provider keeps: a client, a token, a session. */
type Payload = Record<string, unknown>

interface Kept {
  payload: Payload
  expiresAt: number
}

/**
 * All that one authorization server keeps, one map for each of its models. The provider's own memory evicts after a
 * thousand entries, and a test must lose nothing.
 */
export class Storage {
  readonly #models = new Map<string, Map<string, Kept>>()
  readonly #hidesSpent: () => boolean

  /**
   * @param hidesSpent Whether the server no longer knows what was used up: then it refuses a replay and does nothing
   *   more.
   */
  constructor(hidesSpent: () => boolean = () => false) {
    this.#hidesSpent = hidesSpent
  }

  model(name: string): Map<string, Kept> {
    const found = this.#models.get(name) ?? new Map<string, Kept>()
    this.#models.set(name, found)
    return found
  }

  /** The adapter class that a provider is given. */
  adapter(): (name: string) => MapAdapter {
    return (name) => new MapAdapter(this.model(name), this.#hidesSpent)
  }
}

/** The adapter contract of oidc-provider on a map. */
export class MapAdapter {
  readonly #kept: Map<string, Kept>
  readonly #hidesSpent: () => boolean

  constructor(kept: Map<string, Kept>, hidesSpent: () => boolean) {
    this.#kept = kept
    this.#hidesSpent = hidesSpent
  }

  upsert(id: string, payload: Payload, expiresInSeconds?: number): Promise<void> {
    const expiresAt = expiresInSeconds === undefined ? Infinity : Date.now() + expiresInSeconds * 1000
    this.#kept.set(id, { payload, expiresAt })
    return Promise.resolve()
  }

  find(id: string): Promise<Payload | undefined> {
    const kept = this.#kept.get(id)
    const isHidden = kept?.payload['consumed'] !== undefined && this.#hidesSpent()
    return Promise.resolve(kept !== undefined && kept.expiresAt > Date.now() && !isHidden ? kept.payload : undefined)
  }

  findByUid(uid: string): Promise<Payload | undefined> {
    return this.#findBy('uid', uid)
  }

  findByUserCode(userCode: string): Promise<Payload | undefined> {
    return this.#findBy('userCode', userCode)
  }

  consume(id: string): Promise<void> {
    const kept = this.#kept.get(id)
    if (kept !== undefined) kept.payload['consumed'] = Math.floor(Date.now() / 1000)
    return Promise.resolve()
  }

  destroy(id: string): Promise<void> {
    this.#kept.delete(id)
    return Promise.resolve()
  }

  revokeByGrantId(grantId: string): Promise<void> {
    for (const [id, kept] of this.#kept) if (kept.payload['grantId'] === grantId) this.#kept.delete(id)
    return Promise.resolve()
  }

  #findBy(member: string, value: string): Promise<Payload | undefined> {
    for (const [id, kept] of this.#kept) if (kept.payload[member] === value) return this.find(id)
    return Promise.resolve(undefined)
  }
}
