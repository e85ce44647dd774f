import { warnOnFailure } from '../errors/warn-on-failure.ts'
import type { HostAction } from '../options/host-action.ts'
import { actionsBetween } from './host-actions.ts'
import { MAX_UNDELIVERED_ACTIONS } from './limits.ts'
import type { OrchestratorServices, View } from './services.ts'

const isForgetting = ({ type }: HostAction): boolean => type === 'forgetTokens' || type === 'forgetClientInformation'

/**
 * Hands the actions of a record that went from `before` to `after` to `onActions`, and waits for it. Where that fails,
 * the next call of this connection delivers again, changed or not: what to save is derived from the record then, and
 * what to forget, which the record no longer shows, is remembered.
 *
 * @param isDue Whether there is something to deliver besides what was not delivered before.
 * @returns The actions, with those that were not delivered before.
 */
export async function deliverActions(
  { options, undeliveredActions }: OrchestratorServices,
  key: string,
  before: View | undefined,
  after: View | undefined,
  { isDue }: { isDue: boolean },
): Promise<HostAction[]> {
  const { onActions } = options
  const overdue = undeliveredActions.get(key)
  const actions = [...(overdue ?? []), ...actionsBetween(before?.context, after?.context)]
  if (onActions === undefined || (!isDue && overdue === undefined)) return actions
  const isDelivered = await warnOnFailure('AUTHCHART_CALLBACK_FAILED', 'onActions()', () => onActions(actions))
  if (!isDelivered) undeliveredActions.set(key, actions.filter(isForgetting).slice(-MAX_UNDELIVERED_ACTIONS))
  // Unless another delivery, which has begun since, failed as well.
  else if (undeliveredActions.get(key) === overdue) undeliveredActions.delete(key)
  return actions
}
