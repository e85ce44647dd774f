import type { Failure } from '../src/errors/failure.ts'
import type { JournalEntry } from '../src/schemas/connection-context.ts'
import { MAX_JOURNAL_ENTRIES } from './limits.ts'
import { portFailureOf } from './rejection.ts'

/** Why: the failure's code, the answer of a port (`refreshTokens.done`), or the event itself. */
function reasonOf(event: { type: string }, failure: Failure | undefined): string {
  if (event.type.startsWith('xstate.error.')) return portFailureOf(event).failure.code
  if (!event.type.startsWith('xstate.done.actor.')) return event.type
  return failure?.code ?? `${event.type.slice('xstate.done.actor.'.length)}.done`
}

/** The journal with one more transition, and without the oldest if it is full. */
export function appendToJournal(
  context: { at: number; journal: JournalEntry[]; failure?: Failure | undefined },
  event: { type: string },
  to: string,
  start: string,
): JournalEntry[] {
  const from = context.journal.at(-1)?.to ?? start
  return [...context.journal, { at: context.at, from, to, reason: reasonOf(event, context.failure) }].slice(
    -MAX_JOURNAL_ENTRIES,
  )
}
