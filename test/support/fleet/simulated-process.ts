import type { Clock } from '../../../src/clock.ts'
import { plainSealer } from '../../../src/durable/sealing.ts'
import {
  type AuthOrchestrator,
  AuthorizationError,
  createAuthOrchestrator,
  type SnapshotStore,
} from '../../../src/index.ts'
import { FaultyStore, type StoreFault } from '../processes/faulty-store.ts'
import type { Variant } from './fleet-servers.ts'
import type { Outcome } from './outcome.ts'
import { noteResponse, readTokenRequest, type Sent, type SentCredentials } from './sent-credentials.ts'
import type { SimulatedTime } from './simulated-time.ts'

/** What goes wrong with a process while it does something. */
export type Mishap =
  | { readonly kind: 'none' }
  /** A save is done, and its answer is lost. */
  | { readonly kind: 'lostAnswer'; readonly skip: number }
  /** Saves fail, so many times. */
  | { readonly kind: 'storeDown'; readonly skip: number; readonly times: number }
  /** The process stops for ever, right before or after a save or a token request. */
  | { readonly kind: 'crash'; readonly at: 'save' | 'token'; readonly when: 'before' | 'after'; readonly skip: number }
  /** The process stops for as long as the test wants, right before or after a save. */
  | { readonly kind: 'pause'; readonly when: 'before' | 'after'; readonly skip: number }

/** What a process needs of its world. */
export interface Surroundings {
  readonly time: SimulatedTime
  readonly store: SnapshotStore
  readonly fetch: typeof globalThis.fetch
  readonly clients: OrchestratorOptions['clients']
  readonly variant: Variant
  readonly sent: SentCredentials
  /** Everything that was told to anybody: events, inspection records. */
  readonly told: string[]
}

type OrchestratorOptions = Parameters<typeof createAuthOrchestrator>[0]

const REDIRECT_URI = 'https://app.example/callback'
export const LEASE = { leaseMs: 30_000, graceMs: 5_000 }
const NAME_KEY = new Uint8Array(32).fill(7)
const EVENTS = ['transition', 'authorizationRequired', 'authorized', 'refreshed', 'failed', 'disconnected'] as const
/** Whether the store did not take what came of a call; a callback resolves with its failure. */
const isUnavailable = (outcome: Outcome<unknown>): boolean =>
  outcome.kind === 'failed'
    ? outcome.error instanceof AuthorizationError && outcome.error.code === 'STORE_UNAVAILABLE'
    : JSON.stringify(outcome).includes('"code":"STORE_UNAVAILABLE"')
const never = (): Promise<never> => new Promise(() => {})

/** One process of a fleet: an orchestrator of its own on the store of all. It can stop for a while, or for ever. */
export class SimulatedProcess {
  readonly auth: AuthOrchestrator
  readonly #surroundings: Surroundings
  readonly #store: FaultyStore
  #isDead = false
  #isPaused = false
  #mishap: Mishap = { kind: 'none' }
  #tokenRequests = 0
  /** What it had received when it stopped. */
  #arrived: readonly Sent[] = []
  /** Since which request it may have responses that the store has not taken, and tries to store them. */
  #unstoredFrom: number | undefined

  constructor(surroundings: Surroundings, clock: Clock) {
    this.#surroundings = surroundings
    this.#store = new FaultyStore(this.#mortal(surroundings.store), {
      reached: (point) => {
        if (point === 'crash') this.#isDead = true
        if (point === 'pause') this.#isPaused = true
      },
    })
    this.auth = createAuthOrchestrator({
      client: { name: 'Fleet', redirectUri: REDIRECT_URI },
      clients: surroundings.clients,
      keys: { name: NAME_KEY },
      sealer: plainSealer,
      store: this.#store,
      clock,
      network: { allow: ['127.0.0.1'], fetch: this.#fetch },
      policy: { ...LEASE, dpop: surroundings.variant === 'dpop' ? 'required' : 'never' },
      inspect: (record) => surroundings.told.push(JSON.stringify(record)),
    })
    for (const name of EVENTS)
      this.auth.on(name, (event: unknown) => surroundings.told.push(`${name} ${JSON.stringify(event)}`))
  }

  get isUp(): boolean {
    return !this.#isDead && !this.#isPaused
  }

  /** Does something while something goes wrong, for as long as it takes in simulated time. */
  async perform<T>(mishap: Mishap, work: () => Promise<T>): Promise<Outcome<T>> {
    const { time, sent } = this.#surroundings
    const first = sent.count
    let outcome: Outcome<T> | undefined
    this.#arm(mishap)
    work().then(
      (value) => (outcome = { kind: 'done', value }),
      (error: unknown) => (outcome = { kind: 'failed', error }),
    )
    await time.until(() => outcome !== undefined || !this.isUp)
    if (this.isUp && outcome !== undefined) {
      this.#disarm()
      if (isUnavailable(outcome)) this.#unstoredFrom ??= first
      return outcome
    }
    this.#arrived = sent.doubt(this.#unstoredFrom ?? first, this)
    return { kind: this.#isDead ? 'ended' : 'stopped' }
  }

  /** A process that was paused goes on where it stood, with the responses that it had. */
  resume(): void {
    for (const each of this.#arrived) each.isDoubtful = false
    this.#isPaused = false
    this.#disarm()
    this.#store.resume('pause')
  }

  #arm(mishap: Mishap): void {
    this.#mishap = mishap
    this.#tokenRequests = 0
    const save = (fault: Pick<StoreFault, 'when' | 'action' | 'skip' | 'times'>, name: string): void =>
      this.#store.arm({ name, operation: 'save', ...fault })
    if (mishap.kind === 'lostAnswer') save({ when: 'after', action: 'fail', skip: mishap.skip }, 'lost')
    if (mishap.kind === 'storeDown')
      save({ when: 'before', action: 'fail', skip: mishap.skip, times: mishap.times }, 'down')
    if ((mishap.kind === 'crash' && mishap.at === 'save') || mishap.kind === 'pause')
      save({ when: mishap.when, action: 'pause', skip: mishap.skip }, mishap.kind)
  }

  /** What did not happen by now does not happen later, to another call. */
  #disarm(): void {
    this.#mishap = { kind: 'none' }
    this.#store.disarm()
  }

  /** The store as long as this process lives. */
  #mortal(store: SnapshotStore): SnapshotStore {
    const alive = async <Answer>(ask: () => Promise<Answer>): Promise<Answer> => {
      this.#surroundings.time.activity += 1
      return this.#isDead ? await never() : await ask()
    }
    return {
      // As for processes of several machines: one that takes a claim over leaves its holder a grace period.
      insideProcess: false,
      load: (key) => alive(() => store.load(key)),
      save: (key, value, options) => alive(() => store.save(key, value, options)),
      delete: (key, options) => alive(() => store.delete(key, options)),
      subscribe: (listener) => store.subscribe(listener),
      close: async () => {},
    }
  }

  readonly #fetch: typeof globalThis.fetch = async (input, init) => {
    const { time, fetch, sent } = this.#surroundings
    time.activity += 1
    const request = new Request(input, init)
    const tokenRequest = await readTokenRequest(request, this)
    if (tokenRequest !== undefined) this.#tokenRequests += 1
    this.#crash('before', tokenRequest !== undefined)
    if (this.#isDead) return await never()
    if (tokenRequest !== undefined) sent.add(tokenRequest)
    const answer = await fetch(request)
    time.activity += 1
    this.#crash('after', tokenRequest !== undefined)
    if (this.#isDead) return await never()
    // Whoever asked may have given up by now: then the answer was heard by nobody.
    if (tokenRequest !== undefined && !request.signal.aborted) await noteResponse(tokenRequest, answer)
    return answer
  }

  #crash(when: 'before' | 'after', isToken: boolean): void {
    const { kind } = this.#mishap
    if (!isToken || kind !== 'crash' || this.#mishap.at !== 'token' || this.#mishap.when !== when) return
    if (this.#tokenRequests > this.#mishap.skip) this.#isDead = true
  }
}
