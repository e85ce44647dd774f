import { setTimeout as delay } from 'node:timers/promises'
import { carryOn, usableToken, visit } from './carry-on.ts'
import type { Caller, FaultProcess } from './fault-process.ts'
import type { Acknowledged, Act, Flow } from './flows.ts'
import { StuckError } from './persist.ts'
import { type Action, costsOnlyCopy, leasesOf, type Point } from './points.ts'
import type { Scene } from './scene.ts'
import { POLICY } from './settings.ts'

/** One fault at one point of one flow. */
export interface Cell {
  readonly flow: Flow
  readonly point: Point
  readonly action: Action
}

/** What became of it. */
export interface CellResult {
  readonly cell: Cell
  /** `unnoticed`: the call itself succeeded. `repeated`: another process carried on. `asked`: a person had to sign in. */
  readonly outcome: 'unnoticed' | 'repeated' | 'asked'
  /** Whether the only copy of new tokens was lost, so that no client could have prevented it. */
  readonly unavoidable: boolean
  /** Whether the call came to the point of the fault. */
  readonly wasReached: boolean
  readonly asked: number
  readonly reused: number
  /** The rules that were broken: nothing but the number of sign-ins and reuses that are unavoidable. */
  readonly problems: readonly string[]
}

/** A cell whose flow can begin. */
export interface PreparedCell {
  readonly cell: Cell
  readonly scene: Scene
  readonly act: Act
}

/** The result of a cell that did not come to its fault. */
export const missed = (cell: Cell, problem: string): CellResult => ({
  cell,
  outcome: 'repeated',
  unavoidable: false,
  wasReached: false,
  asked: 0,
  reused: 0,
  problems: [problem],
})

/** What became of a call of process A. */
type Settled = { readonly value: Acknowledged } | { readonly error: unknown }

const REACH_TIMEOUT_MS = 20_000
const POINT = 'point'

/** A cell under way: its call was begun in process A with the fault armed. */
class RunningCell {
  readonly cell: Cell
  readonly scene: Scene
  readonly #act: Act
  readonly #a: Caller
  readonly #process: FaultProcess
  /** Resolves when the point is reached, or will not be. */
  readonly reached: Promise<unknown>
  readonly #settled: Promise<Settled>
  #isReached = false
  #lastSaveAt = process.hrtime.bigint()
  #stoppedMs = 0
  #carried: Promise<number> | undefined

  constructor(cell: Cell, scene: Scene, act: Act, processA: FaultProcess) {
    this.cell = cell
    this.scene = scene
    this.#act = act
    this.#process = processA
    this.#a = processA.build(scene.id, scene.init)
    const { promise, resolve } = Promise.withResolvers<void>()
    const onReached = (): void => {
      this.#isReached = true
      resolve()
    }
    this.#a.onReached = onReached
    scene.server.onReached = onReached
    this.#a.onOperation = (name, at) => {
      if (name === 'save connection') this.#lastSaveAt = at
    }
    this.#arm()
    this.#settled = act(this.#a).then(
      (value) => ({ value }),
      (error: unknown) => ({ error }),
    )
    this.reached = Promise.race([promise, this.#settled, delay(REACH_TIMEOUT_MS, undefined, { ref: false })])
  }

  /** After process A was killed. */
  killed(): void {
    this.scene.server.resume('drop')
  }

  /** After process A was stopped: the response of the server is in its socket by then, and process B carries on. */
  stopped(): void {
    this.scene.server.resume('respond')
    this.#carried = carryOn(this.scene, this.cell.flow, this.#act)
    this.#carried.catch(() => {})
  }

  /** After process A was continued. */
  continued(): void {
    this.#stoppedMs = Number((process.hrtime.bigint() - this.#lastSaveAt) / 1_000_000n)
    void this.#a.resume(POINT).catch(() => {})
  }

  /** Lets process B carry on, and checks the rules. */
  async finish(): Promise<CellResult> {
    const { cell, scene } = this
    const { flow, point, action } = cell
    const wasReached = this.#isReached
    const problems = wasReached ? [] : ['the point was not reached']
    const unavoidable = costsOnlyCopy(point, action, this.#stoppedMs, POLICY.leaseMs + POLICY.graceMs)
    let asked = 0
    const settled = await this.#settled
    const acknowledged = 'value' in settled ? settled.value : undefined
    try {
      asked = await (this.#carried ?? carryOn(scene, flow, this.#act, acknowledged))
      if (this.#carried !== undefined && acknowledged !== undefined) await visit(scene, acknowledged)
      const isDead = acknowledged?.token !== undefined && !scene.server.accepts(acknowledged.token)
      if (isDead && !unavoidable) problems.push('lost: the token that the call resolved with is dead')
      problems.push(...(await this.#untruths()))
    } catch (error) {
      problems.push(`${error instanceof StuckError ? 'stuck' : 'failed'}: ${(error as Error).message}`)
    }
    const { reused, mostSent } = scene.server
    if (mostSent > 2) problems.push(`one secret was sent ${mostSent} times`)
    if (asked > 0 && !unavoidable)
      problems.push(acknowledged === undefined ? 'asked' : 'lost: asked although the call resolved')
    if (reused > 0 && !unavoidable) problems.push(`reuse ${reused}`)
    if (asked > 1 || reused > 1) problems.push(`asked ${asked} times, reuse ${reused}`)
    const succeeded = acknowledged === undefined ? 'repeated' : 'unnoticed'
    return { cell, unavoidable, wasReached, asked, reused, problems, outcome: asked > 0 ? 'asked' : succeeded }
  }

  /** What the processes say about the connection that is not so. */
  async #untruths(): Promise<string[]> {
    const { scene, cell } = this
    const { of, b, server } = scene
    const isAuthorized = cell.flow.goal === 'authorized'
    const callers = this.#process.hasEnded ? [b] : [b, this.#a]
    const statuses = await Promise.all(callers.map((caller) => caller.status(of)))
    const said = statuses.map(({ state, authorized }) => `${state} ${authorized}`)
    const problems: string[] = []
    if (new Set(said).size > 1) problems.push(`the processes disagree: ${said.join(', ')}`)
    if (statuses.some(({ authorized }) => authorized !== isAuthorized)) problems.push(`untrue: ${said.join(', ')}`)
    if (isAuthorized) for (const caller of callers) await usableToken(scene, cell.flow, caller)
    else if (server.validTokens > 0) problems.push('lost: disconnected, with valid tokens')
    return problems
  }

  #arm(): void {
    const { point, action } = this.cell
    const when = action === 'kill before' ? 'before' : 'after'
    const isLost = action === 'answer lost'
    const skip = point.nth - 1
    if (point.isRequest)
      return this.scene.server.arm({ name: point.name, skip, when, action: isLost ? 'lose' : 'pause' })
    const [operation, record] = point.name.split(' ') as ['load' | 'save' | 'delete', 'connection' | 'registration']
    void this.#a.arm({ name: POINT, operation, record, skip, when, action: isLost ? 'fail' : 'pause' })
  }
}

/** Runs cells with one action, all at the same time: one signal meets the process of all of them. */
export async function runBatch(cells: readonly PreparedCell[], processA: FaultProcess): Promise<CellResult[]> {
  const running = cells.map(({ cell, scene, act }) => new RunningCell(cell, scene, act, processA))
  await Promise.all(running.map(({ reached }) => reached))
  const [action] = cells.map(({ cell }) => cell.action)
  if (action === 'kill before' || action === 'kill after') {
    await processA.end()
    for (const each of running) each.killed()
  }
  const leases = action === undefined ? 0 : leasesOf(action)
  if (leases > 0) {
    processA.signal('SIGSTOP')
    for (const each of running) each.stopped()
    await delay(leases * POLICY.leaseMs)
    processA.signal('SIGCONT')
    for (const each of running) each.continued()
  }
  return await Promise.all(running.map((each) => each.finish()))
}
