import { setTimeout as delay } from 'node:timers/promises'
import type { ConnectionIdentity } from '../../src/schemas/credentials.ts'
import { mayFail, saidBy } from './expectations.ts'
import type { CallError, Caller } from './fault-process.ts'
import type { Fleet } from './fleet.ts'
import { countOrphans } from './orphans.ts'
import { persist, StuckError } from './persist.ts'
import { pick, sequenceAt } from './random.ts'
import { callback } from './scene.ts'
import { WAY_OUT_MS } from './settings.ts'

/** A connection in motion, and what the last call that resolved promises of it. */
interface Moving {
  readonly of: ConnectionIdentity
  /** Each connection has a scope of its own, which shows whose a token is. */
  readonly scope: string
  /**
   * `unsure` after a sign-out or a callback that failed, until the next one that resolves: what a process had begun can
   * still happen after its call was told that the store did not answer, and after others have read a token.
   */
  expects: 'tokens' | 'nothing' | 'unsure'
  /** What was done, for a report. */
  readonly trail: string[]
  /** What its next step is decided with: a sequence of its own, which the seed repeats. */
  random: () => number
}

/** What connections in motion came to. */
export interface MotionResult {
  readonly calls: number
  readonly resolved: number
  /** How often each error came. */
  readonly errors: ReadonlyMap<string, number>
  /** The rules that were broken. */
  readonly problems: readonly string[]
}

const PAUSE_MS = 300
/** The lifetime of a new token but for a millisecond, so that any other is renewed. */
const RENEWED = { minTtlMs: 3_599_999 }

/**
 * Lets connections sign in, renew, read tokens and disconnect by random processes of a fleet, one call after another
 * for each connection, and checks what each call resolved with against the server.
 */
export class Motion {
  readonly #fleet: Fleet
  readonly #seed: number
  readonly #connections: Moving[]
  readonly #errors = new Map<string, number>()
  readonly #problems: string[] = []
  #calls = 0
  #resolved = 0
  #isRunning = false
  #loops: Promise<void>[] = []

  constructor(fleet: Fleet, { connections, seed }: { connections: number; seed: number }) {
    this.#fleet = fleet
    this.#seed = seed
    this.#connections = Array.from({ length: connections }, (_, index) => ({
      of: fleet.of(`user-${index}`),
      scope: `scope-${index}`,
      expects: 'nothing',
      trail: [],
      random: sequenceAt(seed, index),
    }))
  }

  /** How many calls have resolved. */
  get resolved(): number {
    return this.#resolved
  }

  start(): void {
    this.#isRunning = true
    this.#loops = this.#connections.map((connection, index) => this.#loop(connection, index))
  }

  /** Lets every call in progress end, and looks at every connection once more. */
  async stop(): Promise<MotionResult> {
    this.#isRunning = false
    await Promise.all(this.#loops)
    await Promise.all(this.#connections.map((connection) => this.#check(connection)))
    const { server } = this.#fleet
    if (server.reused > 0) this.#problems.push(`reuse ${server.reused}`)
    if (server.mostSent > 2) this.#problems.push(`one secret was sent ${server.mostSent} times`)
    for (const { process } of this.#fleet.members) {
      const printed = process.output().trim()
      if (printed !== '') this.#problems.push(`a process printed ${printed.slice(0, 300)}`)
    }
    return { calls: this.#calls, resolved: this.#resolved, errors: this.#errors, problems: this.#problems }
  }

  async #loop(connection: Moving, index: number): Promise<void> {
    await delay(connection.random() * PAUSE_MS)
    let step = 0
    while (this.#isRunning) {
      // However often a step before had to be repeated, this one is the same for the same seed.
      connection.random = sequenceAt(this.#seed, index, step)
      await this.#step(connection)
      await delay(PAUSE_MS * (0.5 + connection.random()))
      step += 1
    }
  }

  async #step(connection: Moving): Promise<void> {
    const { of } = connection
    const dice = connection.random()
    if (connection.expects === 'nothing' || dice < 0.1) return await this.#signIn(connection)
    if (dice < 0.2) {
      connection.expects = 'unsure'
      const result = await this.#call(connection, 'disconnect', (caller) => caller.disconnect(of))
      if (result !== undefined) connection.expects = 'nothing'
      return
    }
    const options = dice < 0.8 ? RENEWED : {}
    const token = await this.#call(connection, 'accessToken', (caller) => caller.accessToken(of, options))
    if (token === undefined) return
    const granted = this.#fleet.server.as.introspect(token.value)
    if (granted?.scope !== connection.scope)
      this.#report(connection, `lost: the token is ${granted === undefined ? 'dead' : `of ${granted.scope}`}`)
  }

  async #signIn(connection: Moving): Promise<void> {
    const { of, scope } = connection
    const begun = await this.#call(connection, 'authorize', (caller) => caller.authorize(of, { scope, force: true }))
    if (begun?.status !== 'redirect') return
    const url = await this.#fleet.server.as.approve(begun.authorizationUrl)
    connection.expects = 'unsure'
    const deadline = performance.now() + WAY_OUT_MS
    try {
      await persist({ deadline }, async () => {
        const result = await this.#call(connection, 'callback', (caller) => callback(caller, url), true)
        connection.expects = 'tokens'
        return result
      })
    } catch (error) {
      const isStuck = error instanceof StuckError
      this.#report(connection, `${isStuck ? 'stuck' : 'asked'}: a callback came to ${(error as Error).message}`)
    }
  }

  /** The result of a call in a random process; `undefined` if it failed, unless the error is wanted. */
  async #call<Result>(
    connection: Moving,
    name: string,
    work: (caller: Caller) => Promise<Result>,
    rethrows = false,
  ): Promise<Result | undefined> {
    const { caller } = pick(connection.random, this.#fleet.members)
    this.#calls += 1
    try {
      const result = await work(caller)
      this.#resolved += 1
      connection.trail.push(name)
      return result
    } catch (error) {
      const { code, nextAction, message } = error as CallError
      const kind = `${name} ${code ?? message}`
      connection.trail.push(kind)
      this.#errors.set(kind, (this.#errors.get(kind) ?? 0) + 1)
      if (rethrows) throw error
      if (code === undefined) this.#report(connection, `stuck: ${kind}`)
      else if (!mayFail(error as CallError)) this.#report(connection, `rejected: ${saidBy(error as CallError)}`)
      else if (nextAction === 'authorize') {
        if (connection.expects === 'tokens') this.#report(connection, 'asked')
        connection.expects = 'nothing'
      }
      return undefined
    }
  }

  async #check(connection: Moving): Promise<void> {
    const { of, expects, scope } = connection
    const { members, server } = this.#fleet
    const { caller } = pick(connection.random, members)
    const deadline = performance.now() + WAY_OUT_MS
    let token: string | undefined
    try {
      token = (await persist({ deadline }, () => caller.accessToken(of))).value
      if (expects === 'nothing') this.#report(connection, 'lost: it was disconnected, and has a token')
      else if (server.as.introspect(token)?.scope !== scope) this.#report(connection, 'lost: a dead token')
    } catch (error) {
      if (error instanceof StuckError) this.#report(connection, `stuck: ${error.message}`)
      else if ((error as CallError).nextAction !== 'authorize') this.#report(connection, `failed: ${String(error)}`)
      else if (expects === 'tokens') this.#report(connection, `asked: ${(error as Error).message}`)
    }
    const orphans = await countOrphans({ of, caller, server, deadline, token, scope })
    if (orphans > 0) this.#report(connection, `lost: ${orphans} live grants that nobody has`)
    const statuses = await Promise.all(members.map(({ caller }) => persist({ deadline }, () => caller.status(of))))
    const said = new Set(statuses.map(({ state, authorized }) => `${state} ${authorized}`))
    if (said.size > 1) this.#report(connection, `the processes disagree: ${[...said].join(', ')}`)
  }

  #report({ of, trail }: Moving, problem: string): void {
    this.#problems.push(`${of.user}: ${problem} (after ${trail.slice(-6).join(', ')})`)
  }
}
