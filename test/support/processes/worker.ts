import { flushCompileCache } from 'node:module'
import { loadUndici } from '../../../src/http/undici.ts'
import { buildOrchestrator, type Built, sendable } from './build-orchestrator.ts'
import type { FromWorker, ToWorker } from './worker-protocol.ts'

const tell = (message: FromWorker): void => void process.send?.(message)

let built: Built | undefined

process.on('message', (message: ToWorker) => {
  if ('init' in message) {
    built = buildOrchestrator(message.init, { reached: (point) => tell({ reached: point }), told: [] })
    // Otherwise the first request loads it while its claim's time runs, on a busy machine for a second.
    void loadUndici().then(() => {
      // Whoever is killed would not leave it to the next ones.
      flushCompileCache()
      tell({ ready: true })
    })
    return
  }
  if ('rest' in message) {
    const answer = (rested: boolean): void => tell({ rested })
    void Promise.resolve(built?.rest()).then(
      (rested) => answer(rested === true),
      () => answer(false),
    )
    return
  }
  const { id, call, args } = message
  const run = built?.calls[call] as ((...args: unknown[]) => Promise<unknown>) | undefined
  Promise.resolve()
    .then(() => run?.(...args))
    .then(
      (value) => tell({ id, value }),
      (error: unknown) => tell({ id, error: sendable(error) }),
    )
})
process.once('disconnect', () => process.exit())
