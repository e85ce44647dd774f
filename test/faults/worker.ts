import { flushCompileCache } from 'node:module'
import { buildOrchestrator, type Built, sendable } from '../support/processes/build-orchestrator.ts'
import { StoreOutages } from './store-outages.ts'
import type { FromFaultWorker, ToFaultWorker } from './worker-protocol.ts'

const built = new Map<string, Built>()
const outages = new StoreOutages()

const send = (message: FromFaultWorker): void => void process.send?.(message)

// Whatever else is printed breaks a rule.
process.removeAllListeners('warning')
process.on('warning', (warning) => {
  if (!outages.explain(warning)) process.stderr.write(`${warning.stack ?? warning.message}\n`)
})

process.on('message', (message: ToFaultWorker) => {
  const { cell } = message
  if ('init' in message) {
    const { init } = message
    // Whoever is killed would not leave it to the next ones.
    if (built.size === 0) flushCompileCache()
    built.set(
      cell,
      buildOrchestrator(init, {
        reached: (point) => send({ cell, reached: point }),
        began: (operation) => send({ cell, began: operation, at: process.hrtime.bigint() }),
        ended: (operation) => outages.ended(operation, init),
      }),
    )
    return
  }
  if ('rest' in message) {
    void built.get(cell)?.rest()
    built.delete(cell)
    return
  }
  const { id, call, args } = message
  const run = built.get(cell)?.calls[call] as ((...args: unknown[]) => Promise<unknown>) | undefined
  Promise.resolve()
    .then(() => run?.(...args))
    .then(
      (value) => send({ cell, id, value }),
      (error: unknown) => send({ cell, id, error: sendable(error) }),
    )
})
process.once('disconnect', () => process.exit())
