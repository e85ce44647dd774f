import {
  type Actor,
  type ActorLogic,
  type ActorSystem,
  type ActorSystemInfo,
  type AnyActorRef,
  createActor,
  type InspectionEvent,
  type MachineContext,
  type MachineSnapshot,
  type MetaObject,
  type Snapshot,
  type StateSchema,
  type StateValue,
} from 'xstate'
import { AuthorizationError } from '../errors/authorization-error.ts'
import { failure } from '../errors/failure.ts'

/** A snapshot of a chart. */
export type ChartSnapshot<Context extends object> = MachineSnapshot<
  Context & MachineContext,
  { type: string },
  Record<string, AnyActorRef | undefined>,
  StateValue,
  string,
  unknown,
  MetaObject,
  StateSchema
>

/** A machine with all its actors provided, whose context is of this type. */
export type ChartLogic<Context extends object> = ActorLogic<
  ChartSnapshot<Context>,
  { type: string },
  object,
  ActorSystem<ActorSystemInfo>,
  { type: string }
>

/** An actor of a chart, started or not. */
export type ChartActor<Context extends object> = Actor<ChartLogic<Context>>

/** The name of the actors of a run, and their inspector. */
export interface ChartActorOptions {
  readonly id: string
  readonly inspect?: (event: InspectionEvent) => void
}

/** The error for a record that this release cannot continue. The record stays unchanged. */
export function incompatible(reason?: string): AuthorizationError {
  return new AuthorizationError(failure('SNAPSHOT_INCOMPATIBLE', { reason }))
}

/**
 * Restores an actor from a stored snapshot, without starting it.
 *
 * @throws {@link AuthorizationError} `SNAPSHOT_INCOMPATIBLE` for a state that the machine does not have.
 */
export function restoreActor<Context extends object>(
  logic: ChartLogic<Context>,
  stored: { value: unknown; context: Context },
  options: ChartActorOptions,
): ChartActor<Context> {
  const { value, context } = stored
  const rest = { status: 'active' as const, output: undefined, error: undefined, historyValue: {}, children: {} }
  const snapshot: Snapshot<unknown> = Object.assign(rest, { value, context })
  const actor = createActor(logic, { ...options, input: {}, snapshot })
  // XState stores the error in the snapshot instead of throwing it.
  if (actor.getSnapshot().status !== 'active') throw incompatible()
  return actor
}

/** Resolves with the next persistable snapshot: one without an active child. */
export function persistableSnapshot<Context extends object>(
  actor: ChartActor<Context>,
): Promise<ChartSnapshot<Context>> {
  return new Promise((resolve, reject) => {
    const settle = (snapshot: ChartSnapshot<Context>): boolean => {
      if (snapshot.status !== 'active') {
        reject(incompatible(snapshot.status))
        return true
      }
      if (Object.values(snapshot.children).some(isWorking)) return false
      resolve(snapshot)
      return true
    }
    if (settle(actor.getSnapshot())) return
    const subscription = actor.subscribe({
      next: (snapshot) => {
        if (settle(snapshot)) subscription.unsubscribe()
      },
      error: () => reject(incompatible('error')),
    })
  })
}

function isWorking(child: AnyActorRef | undefined): boolean {
  const snapshot: unknown = child?.getSnapshot()
  return typeof snapshot === 'object' && snapshot !== null && 'status' in snapshot && snapshot.status === 'active'
}
