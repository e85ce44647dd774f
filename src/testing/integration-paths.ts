import assert from 'node:assert/strict'
import { getInitialSnapshot, getNextSnapshot } from 'xstate'
import { getShortestPaths } from 'xstate/graph'
import * as v from 'valibot'
import type { ConnectionStatus } from '../connection/status.ts'
import { maybe } from '../schemas/credentials.ts'
import { parseOptions } from '../schemas/parse-options.ts'
import {
  type IntegrationAction,
  integrationLogic,
  type IntegrationState,
  isApplicable,
  type ModelState,
  serializeState,
  statusOf,
} from './integration-model.ts'
import type { RequestLog } from './request-log.ts'

/** A host's integration, as the model drives and observes it. */
export interface Integration {
  /** The status of its connection: `() => connection.status()`. */
  status(): Promise<ConnectionStatus>
  /** Performs each action. */
  readonly actions: Readonly<Record<IntegrationAction, () => Promise<unknown>>>
  /**
   * The request logs of its authorization servers. After each step, every code and refresh token must have been
   * presented once, to the server that issued it.
   */
  readonly requestLogs?: readonly RequestLog[] | undefined
}

/** One step of a path: an action, and the expected status after it. */
export interface IntegrationStep extends IntegrationState {
  /** The action to perform. */
  readonly action: IntegrationAction
  /** Whether the action resolves. */
  readonly succeeds: boolean
}

/** A sequence of actions from a new integration. */
export interface IntegrationPath {
  /** `beginSignIn → approve → callTool`. */
  readonly description: string
  /** The actions, in order. */
  readonly steps: readonly IntegrationStep[]
  /**
   * Performs the actions with a new integration, and checks the status and the invariants after each.
   *
   * @throws `AssertionError` of `node:assert` that names the failed step.
   */
  walk(integration: Integration): Promise<void>
}

/** Invariants of every status, whatever actions preceded it. */
const INVARIANTS: readonly { name: string; holds: (status: ConnectionStatus) => boolean }[] = [
  {
    name: 'each transition in the journal starts in the state in which the previous one ended',
    holds: ({ journal }) => journal.slice(1).every(({ from }, index) => from === journal[index]?.to),
  },
  {
    name: 'the times in the journal never decrease',
    holds: ({ journal }) => journal.slice(1).every(({ at }, index) => at >= (journal[index]?.at ?? Infinity)),
  },
  {
    name: 'a connection in the state authorized reports authorized: true',
    holds: ({ state, authorized }) => state !== 'authorized' || authorized,
  },
  {
    name: 'a connection in the state failed reports a failure',
    holds: ({ state, failure }) => state !== 'failed' || failure !== undefined,
  },
  { name: 'expiresAt is never NaN', holds: ({ expiresAt }) => !Number.isNaN(expiresAt) },
]

const ALL: readonly IntegrationAction[] = [
  'beginSignIn',
  'approve',
  'deny',
  'letAttemptExpire',
  'expireToken',
  'revokeTokens',
  'callTool',
  'disconnect',
  'restartProcess',
]

const PathsSchema = v.strictObject({ actions: maybe(v.array(v.picklist(ALL))) })

/**
 * Paths through the life of a connection, computed from the connection chart: for every reachable state of the
 * integration and every action applicable in it, the shortest path to the state, followed by the action. Walking every
 * path with a new integration covers all transitions between the states that the chart distinguishes.
 *
 * @example
 *
 * ```ts
 * for (const path of connectionPaths()) test(path.description, async () => path.walk(await startIntegration()))
 * ```
 *
 * @param options.actions The actions that the host implements. @defaultValue all
 * @throws `TypeError` that names the invalid option.
 */
export function connectionPaths(
  options: { actions?: readonly IntegrationAction[] | undefined } = {},
): IntegrationPath[] {
  parseOptions(PathsSchema, options, 'connectionPaths()')
  const { actions = ALL } = options
  const applicable = (state: ModelState): IntegrationAction[] => actions.filter((action) => isApplicable(state, action))
  const shortest = getShortestPaths(integrationLogic, {
    events: ({ context }) => applicable(context).map((type) => ({ type })),
    serializeState: ({ context }) => serializeState(context),
  })
  return shortest.flatMap(({ state, steps }) => {
    // The first step is the initial state.
    const prefix = steps.slice(1).map(({ event }) => event.type)
    return applicable(state.context).map((action) => pathOf(stepsOf([...prefix, action])))
  })
}

function stepsOf(actions: readonly IntegrationAction[]): IntegrationStep[] {
  let snapshot = getInitialSnapshot(integrationLogic)
  return actions.map((action) => {
    snapshot = getNextSnapshot(integrationLogic, snapshot, { type: action })
    return { action, ...statusOf(snapshot.context), succeeds: snapshot.context.succeeded }
  })
}

function pathOf(steps: readonly IntegrationStep[]): IntegrationPath {
  const description = steps.map(({ action }) => action).join(' → ')
  return {
    description,
    steps,
    async walk(integration) {
      const { actions, requestLogs = [] } = integration
      for (const [index, { action, succeeds, ...expected }] of steps.entries()) {
        const where = `${description}, step ${index + 1} (${action})`
        const succeeded = await actions[action]().then(
          () => true,
          () => false,
        )
        assert.equal(succeeded, succeeds, `${where}: the action ${succeeded ? 'resolved' : 'rejected'}`)
        const { state, authorized, ...rest } = await integration.status()
        assert.deepEqual({ state, authorized }, expected, where)
        for (const { name, holds } of INVARIANTS) assert.ok(holds({ state, authorized, ...rest }), `${where}: ${name}`)
        for (const requestLog of requestLogs)
          for (const use of requestLog.credentialUses().values())
            assert.deepEqual(use, { ...use, presented: 1, isOwn: true }, `${where}: each credential is presented once`)
      }
    },
  }
}
