import { setTimeout as delay } from 'node:timers/promises'
import { carryOn, needsUser, usableToken, visit } from './carry-on.ts'
import type { Cell, CellResult, PreparedCell } from './cell.ts'
import { mayFailBefore, mayMeetErrorPage, rejectionsAfter, saidBy } from './expectations.ts'
import { CallError, type Caller, type FaultProcess } from './fault-process.ts'
import type { Acknowledged, Act } from './flows.ts'
import { NOTHING, problemsFrom } from './losses.ts'
import { countOrphans } from './orphans.ts'
import { persist, StuckError } from './persist.ts'
import { costsOnlyCopy } from './points.ts'
import type { Scene } from './scene.ts'
import { NETWORK, POLICY } from './settings.ts'

/** What became of a call of process A. */
type Settled = { readonly value: Acknowledged } | { readonly error: unknown }

const REACH_TIMEOUT_MS = 20_000
/** How long a request may wait for the other cells of its batch: well within its time-out. */
const MAX_WAIT_MS = NETWORK.timeoutMs * 0.6
/** A process that is continued later than this before the end of its protection has no time to save its result. */
const SAVE_MS = 250
const POINT = 'point'

/** A cell under way: its call was begun in process A with the fault armed. */
export class RunningCell {
  readonly #cell: Cell
  readonly #scene: Scene
  readonly #act: Act
  readonly #a: Caller
  readonly #process: FaultProcess
  /** Resolves when the point is reached, or will not be. */
  readonly reached: Promise<unknown>
  readonly #settled: Promise<Settled>
  #hasSettled = false
  /** Whether the call had no result when the process was killed. */
  #wasKilled = false
  #reachedAt: number | undefined
  #lastSaveAt = process.hrtime.bigint()
  #missed: string | undefined = 'the point was not reached'
  #isOverdue = false
  #carried: Promise<number> | undefined

  constructor({ cell, scene, act }: PreparedCell, processA: FaultProcess) {
    this.#cell = cell
    this.#scene = scene
    this.#act = act
    this.#process = processA
    this.#a = processA.build(scene.id, scene.init)
    const { promise, resolve } = Promise.withResolvers<void>()
    const onReached = (): void => {
      // By a call that is repeated: the first one had failed before.
      if (this.#hasSettled) return
      this.#reachedAt = performance.now()
      if (cell.action === 'answer lost') this.#missed = undefined
      resolve()
    }
    this.#a.onReached = onReached
    scene.server.onReached = onReached
    this.#a.onOperation = (name, at) => {
      if (name === 'save connection') this.#lastSaveAt = at
    }
    this.#arm()
    this.#settled = act(this.#a)
      .then(
        (value) => ({ value }),
        (error: unknown) => ({ error }),
      )
      .finally(() => (this.#hasSettled = true))
    this.reached = Promise.race([promise, this.#settled, delay(REACH_TIMEOUT_MS, undefined, { ref: false })])
  }

  /** Just before the signal: whether the call is still where it has to meet it. */
  meet(): void {
    this.#wasKilled = this.#cell.action.startsWith('kill') && !this.#hasSettled
    if (this.#reachedAt === undefined) return
    const waitedMs = Math.round(performance.now() - this.#reachedAt)
    const isTooLate = this.#cell.point.isRequest && waitedMs > MAX_WAIT_MS
    if (this.#hasSettled) this.#missed = 'the call ended before the signal'
    else this.#missed = isTooLate ? `the request waited for ${waitedMs} ms` : undefined
  }

  /** After process A was killed. */
  killed(): void {
    this.#scene.server.resume('drop')
  }

  /** After process A was stopped: the response of the server is in its socket by then, and process B carries on. */
  stopped(): void {
    const { server, b } = this.#scene
    server.resume('respond')
    this.#carried = carryOn(this.#scene, this.#cell.flow, this.#act, { caller: b })
    this.#carried.catch(() => {})
  }

  /** After process A was continued. A stop of one lease must not exceed what protects the claim: it proves nothing. */
  continued(): void {
    const { point, action } = this.#cell
    const claimedMs = Number((process.hrtime.bigint() - this.#lastSaveAt) / 1_000_000n)
    this.#isOverdue =
      action === 'stop 1×' && point.onlyCopy.after && claimedMs > POLICY.leaseMs + POLICY.graceMs - SAVE_MS
    if (this.#isOverdue) this.#missed ??= `the claim was ${claimedMs} ms old when the stop ended`
    void this.#a.resume(POINT).catch(() => {})
  }

  /** Lets the call be repeated, and checks the rules. */
  async finish(): Promise<CellResult> {
    const cell = this.#cell
    const scene = this.#scene
    const settled = await this.#settled
    const acknowledged = 'value' in settled ? settled.value : undefined
    const problems = 'error' in settled ? this.#unexpected(settled.error) : []
    let asked = 0
    let lost = 0
    let orphans = 0
    try {
      asked = await this.#carryOn(settled)
      const token = cell.flow.goal === 'authorized' ? await usableToken(scene, cell.flow, scene.b) : undefined
      orphans = await countOrphans({ ...scene, caller: scene.b, token })
      problems.push(...(await this.#untruths()))
      if (cell.flow.goal === 'disconnected' && scene.server.validTokens > 0) lost += 1
    } catch (error) {
      problems.push(`${error instanceof StuckError ? 'stuck' : 'failed'}: ${(error as Error).message}`)
    }
    const { reused, mostSent } = scene.server
    if (acknowledged !== undefined && asked > 0) lost += 1
    if (acknowledged?.token !== undefined && !scene.server.accepts(acknowledged.token)) lost += 1
    const losses = { asked, reused, lost: lost + scene.deadTokens, orphans: 0 }
    // The server was sent the credential once more, since nobody had what it had responded with.
    const isUnavoidable = reused > 0 && (this.#isOverdue || costsOnlyCopy(cell.point, cell.action))
    const avoidable = { ...(isUnavoidable ? NOTHING : losses), orphans }
    problems.push(...problemsFrom(avoidable))
    if (scene.errorPages > Number(mayMeetErrorPage(cell)))
      problems.push(`${scene.errorPages} error pages of the server`)
    if (mostSent > 2) problems.push(`one secret was sent ${mostSent} times`)
    if (asked > 1 || reused > 1) problems.push(`asked ${asked} times, reuse ${reused}`)
    const succeeded = acknowledged === undefined ? 'repeated' : 'unnoticed'
    return {
      cell,
      outcome: asked > 0 ? 'asked' : succeeded,
      missed: this.#missed,
      avoidable,
      unavoidable: isUnavoidable ? losses : NOTHING,
      problems,
    }
  }

  /** Does what the call of process A says is to be done. */
  async #carryOn(settled: Settled): Promise<number> {
    const { flow } = this.#cell
    const scene = this.#scene
    const acknowledged = 'value' in settled ? settled.value : undefined
    if (this.#carried === undefined) {
      const caller = this.#process.hasEnded ? scene.b : this.#a
      return await carryOn(scene, flow, this.#act, { caller, acknowledged })
    }
    const asked = await this.#carried
    if (acknowledged !== undefined) await visit(scene, acknowledged)
    // The person was asked already because of the same loss, or is told so although there are tokens.
    else if ('error' in settled && needsUser(settled.error)) return Math.max(asked, 1)
    // To import the same credentials again would replace those that were renewed since.
    else if (flow.name !== 'import') await visit(scene, await persist(scene, () => this.#act(this.#a)))
    return asked
  }

  /** Whether process A's call was rejected with anything but what this fault can lead to. */
  #unexpected(error: unknown): string[] {
    if (!(error instanceof CallError)) return [`failed: ${String(error)}`]
    if (this.#wasKilled && error.code === undefined) return []
    const said = saidBy(error)
    // A stop that was too long has the effects of a long one.
    const cell: Cell = this.#isOverdue ? { ...this.#cell, action: 'stop 3×' } : this.#cell
    if (rejectionsAfter(cell).includes(said)) return []
    // A response that came too late is not what this cell is about, unless it comes too late again.
    if (error.code === 'HTTP_TIMEOUT') this.#missed ??= 'a request timed out'
    return this.#missed !== undefined && mayFailBefore(error) ? [] : [`rejected: ${said}`]
  }

  /** What the processes say about the connection that is not so. */
  async #untruths(): Promise<string[]> {
    const scene = this.#scene
    const { flow } = this.#cell
    const callers = this.#process.hasEnded ? [scene.b] : [scene.b, this.#a]
    const statuses = await Promise.all(callers.map((caller) => caller.status(scene.of)))
    const said = statuses.map(({ state, authorized }) => `${state} ${authorized}`)
    const problems: string[] = []
    if (new Set(said).size > 1) problems.push(`the processes disagree: ${said.join(', ')}`)
    if (statuses.some(({ authorized }) => authorized !== (flow.goal === 'authorized')))
      problems.push(`untrue: ${said.join(', ')}`)
    if (flow.goal === 'authorized') for (const caller of callers) await usableToken(scene, flow, caller)
    return problems
  }

  #arm(): void {
    const { point, action } = this.#cell
    const when = action === 'kill before' ? 'before' : 'after'
    const isLost = action === 'answer lost'
    const skip = point.nth - 1
    if (point.isRequest)
      return this.#scene.server.arm({ name: point.name, skip, when, action: isLost ? 'lose' : 'pause' })
    const [operation, record] = point.name.split(' ') as ['load' | 'save' | 'delete', 'connection' | 'registration']
    void this.#a.arm({ name: POINT, operation, record, skip, when, action: isLost ? 'fail' : 'pause' })
  }
}
