import type { SentError, WorkerCalls, WorkerInit } from '../support/processes/worker-protocol.ts'

/** What a process that has many orchestrators, one for each cell, can be asked. */
export type ToFaultWorker = { cell: string } & (
  { init: WorkerInit } | { rest: true } | { id: number; call: keyof WorkerCalls; args: unknown[] }
)

/** What it reports. `at` is the monotonic clock of the machine, in nanoseconds: comparable between processes. */
export type FromFaultWorker = { cell: string } & (
  | { reached: string }
  | { began: string; at: bigint }
  | { id: number; value: unknown }
  | { id: number; error: SentError }
)
