import { type AnyActor, type AnyMachineSnapshot, type AnyStateMachine, createActor, fromPromise, waitFor } from 'xstate'
import type { Stamp } from '../../../machines/connection/events.ts'
import { runningPorts } from './chart-graph.ts'
import { LEASE_MS, START } from './facts.ts'

/** How a port answers one call; throws what it rejects with. */
export type Answer = (input: never) => unknown

/** One call of a port. */
export interface Call {
  port: string
  input: Record<string, unknown>
}

/** The ports of a chart, answered by a table, with every call written down. */
function scriptedPorts(ports: object, answers: Record<string, Answer>, calls: Call[]): object {
  return Object.fromEntries(
    Object.keys(ports).map((port) => [
      port,
      fromPromise(({ input }: { input: unknown }) => {
        calls.push({ port, input: input as Record<string, unknown> })
        const answer = answers[port]
        if (answer === undefined) return Promise.reject(new Error(`the test has no answer for ${port}`))
        return new Promise((resolve) => {
          resolve(answer(input as never))
        })
      }),
    ]),
  )
}

/** Runs a chart as a live actor, as the runner does: from rest to rest, with a go-ahead at every checkpoint. */
export class LiveChart<Context> {
  readonly calls: Call[] = []
  /** What the chart told its caller. */
  readonly emitted: { type: string }[] = []
  /** How often a checkpoint was gone on with. */
  goAheads = 0
  /** What each port answers; may be changed at any time. */
  readonly answers: Record<string, Answer>
  now = START
  readonly #actor: AnyActor
  #claims = 0

  constructor(machine: AnyStateMachine, ports: object, input: object, answers: Record<string, Answer>) {
    this.answers = { ...answers }
    const provided = machine.provide({ actors: scriptedPorts(ports, this.answers, this.calls) as never })
    this.#actor = createActor(provided, { input: { at: START, ...input } })
    this.#actor.on('*', (told) => this.emitted.push(told))
    this.#actor.start()
  }

  get snapshot(): AnyMachineSnapshot {
    return this.#actor.getSnapshot() as AnyMachineSnapshot
  }

  get context(): Context {
    return this.snapshot.context as Context
  }

  get value(): unknown {
    return this.snapshot.value as unknown
  }

  /**
   * One command and everything that follows from it, up to the next rest, or up to the checkpoint if
   * `stopAtCheckpoint`.
   */
  async send(
    command: { type: string; [member: string]: unknown },
    { stopAtCheckpoint = false, afterMs = 1 } = {},
  ): Promise<AnyMachineSnapshot> {
    this.now = Math.max(this.now, (this.snapshot.context as { at: number }).at) + afterMs
    this.#actor.send({ ...this.#stamp(), ...command })
    for (;;) {
      const snapshot = await this.#atRest()
      const goAhead = { ...this.#stamp(), type: 'checkpoint.saved', sendBefore: 1_000 }
      if (stopAtCheckpoint || !snapshot.hasTag('checkpoint') || !snapshot.can(goAhead)) return snapshot
      this.goAheads += 1
      this.#actor.send(goAhead)
    }
  }

  stop(): void {
    this.#actor.stop()
  }

  async #atRest(): Promise<AnyMachineSnapshot> {
    await waitFor(this.#actor, (now) => runningPorts(now as AnyMachineSnapshot).length === 0)
    return this.snapshot
  }

  #stamp(): Stamp {
    this.#claims += 1
    return { at: this.now, claimId: `claim-${this.#claims}`, leaseMs: LEASE_MS }
  }
}
