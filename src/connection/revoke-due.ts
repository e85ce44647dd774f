import { dueRevocations } from '../../machines/connection/schedule.ts'
import type { ConnectionRecord } from './record.ts'
import type { View } from './services.ts'

/**
 * Attempts every revocation that is due, each once. No other call waits for it.
 *
 * @returns Whether there was any.
 * @internal
 */
export async function revokeDue(record: ConnectionRecord, view: View): Promise<boolean> {
  const due = dueRevocations(view.context, view.at())
  let latest: View | undefined = view
  for (const { id } of due) {
    const isStillDue = (now: View): boolean =>
      dueRevocations(now.context, now.at()).some((revocation) => revocation.id === id)
    const result: { readonly view: View | undefined } = await record.run(
      (now) => (now && isStillDue(now) ? { type: 'revocation.resumed', id } : undefined),
      { view: latest },
    )
    latest = result.view
  }
  return due.length > 0
}

/**
 * Attempts every revocation that is due, while its caller goes on: what is not decided stays due for `wake()`.
 *
 * @internal
 */
export function revokeInBackground(record: ConnectionRecord, view: View): void {
  void revokeDue(record, view).catch(() => {})
}
