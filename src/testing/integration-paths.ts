import assert from 'node:assert/strict'
import { getInitialSnapshot, getNextSnapshot } from 'xstate'
import { getShortestPaths } from 'xstate/graph'
import type { ConnectionStatus } from '../connection/status.ts'
import {
  applies,
  essenceOf,
  type IntegrationAction,
  integrationLogic,
  type IntegrationState,
  lookOf,
  type ModelState,
} from './integration-model.ts'
import type { RequestLog } from './test-ledger.ts'

/** What a host hands to the model: how to do things to its integration, and how to look at it. */
export interface Integration {
  /** What its connection says of itself: `() => connection.status()`. */
  status(): Promise<ConnectionStatus>
  /** Does each thing that a path may ask for. */
  readonly actions: Readonly<Record<IntegrationAction, () => Promise<unknown>>>
  /** Of its authorization servers: no code or refresh token may be presented twice, and none elsewhere. */
  readonly ledgers?: readonly RequestLog[] | undefined
}

/** One step of a path: what is done, and what must be so afterwards. */
export interface IntegrationStep extends IntegrationState {
  /** What is done. */
  readonly action: IntegrationAction
  /** Whether the action resolves. */
  readonly succeeds: boolean
}

/** A way through the life of a connection. */
export interface IntegrationPath {
  /** `beginSignIn → approve → callTool`. */
  readonly description: string
  /** What is done, in order. */
  readonly steps: readonly IntegrationStep[]
  /**
   * Goes this way with an integration that is as new, and looks after each step at what must hold.
   *
   * @throws `AssertionError` of `node:assert` that names the step.
   */
  walk(integration: Integration): Promise<void>
}

/** What must hold of every status, whatever was done before. */
const INVARIANTS: readonly { name: string; holds: (status: ConnectionStatus) => boolean }[] = [
  {
    name: 'each transition begins where the one before ended',
    holds: ({ journal }) => journal.slice(1).every(({ from }, index) => from === journal[index]?.to),
  },
  {
    name: 'record time never goes back',
    holds: ({ journal }) => journal.slice(1).every(({ at }, index) => at >= (journal[index]?.at ?? Infinity)),
  },
  {
    name: 'an authorized connection needs nobody',
    holds: ({ state, authorized }) => state !== 'authorized' || authorized,
  },
  { name: 'whoever fails says why', holds: ({ state, failure }) => state !== 'failed' || failure !== undefined },
  { name: 'a token that is there ends some time, or never', holds: ({ expiresAt }) => !Number.isNaN(expiresAt) },
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

/**
 * Ways through the life of a connection, worked out from the connection chart itself: for every state that the actions
 * lead to, and for every action that makes sense there, the shortest way to it and that action. Walk each with an
 * integration of its own, and it has met everything that the chart tells apart in such an integration.
 *
 * @example
 *
 * ```ts
 * for (const path of connectionPaths()) test(path.description, async () => path.walk(await startIntegration()))
 * ```
 *
 * @param options.actions The actions that the host can do. @defaultValue all
 */
export function connectionPaths(
  options: { actions?: readonly IntegrationAction[] | undefined } = {},
): IntegrationPath[] {
  const { actions = ALL } = options
  const sensible = (state: ModelState): IntegrationAction[] => actions.filter((action) => applies(state, action))
  const shortest = getShortestPaths(integrationLogic, {
    events: ({ context }) => sensible(context).map((type) => ({ type })),
    serializeState: ({ context }) => essenceOf(context),
  })
  return shortest.flatMap(({ state, steps }) => {
    // The first step is the beginning itself.
    const way = steps.slice(1).map(({ event }) => event.type)
    return sensible(state.context).map((action) => pathOf(stepsOf([...way, action])))
  })
}

function stepsOf(actions: readonly IntegrationAction[]): IntegrationStep[] {
  let snapshot = getInitialSnapshot(integrationLogic)
  return actions.map((action) => {
    snapshot = getNextSnapshot(integrationLogic, snapshot, { type: action })
    return { action, ...lookOf(snapshot.context), succeeds: snapshot.context.succeeded }
  })
}

function pathOf(steps: readonly IntegrationStep[]): IntegrationPath {
  const description = steps.map(({ action }) => action).join(' → ')
  return {
    description,
    steps,
    async walk(integration) {
      const { actions, ledgers = [] } = integration
      for (const [index, { action, succeeds, ...expected }] of steps.entries()) {
        const where = `${description}, step ${index + 1} (${action})`
        const isDone = await actions[action]().then(
          () => true,
          () => false,
        )
        assert.equal(isDone, succeeds, `${where}: it ${isDone ? 'could' : 'could not'} be done`)
        const { state, authorized, ...rest } = await integration.status()
        assert.deepEqual({ state, authorized }, expected, where)
        for (const { name, holds } of INVARIANTS) assert.ok(holds({ state, authorized, ...rest }), `${where}: ${name}`)
        for (const ledger of ledgers)
          for (const spend of ledger.spends().values())
            assert.deepEqual(spend, { ...spend, presented: 1, isOwn: true }, `${where}: each secret is spent once`)
      }
    },
  }
}
