import { setTimeout as delay } from 'node:timers/promises'
import type { StoreAddress } from '../../support/processes/open-store.ts'
import type { StoreFault } from '../../support/processes/faulty-store.ts'
import { openFleet } from '../fleet.ts'
import { Motion } from '../motion.ts'
import { pick, randomSequence } from '../random.ts'
import { PATIENT, WAY_OUT_MS } from '../settings.ts'
import type { Variant } from '../variant.ts'

const PROCESSES = 4
const CONNECTIONS = 60
const FAULT_INTERVAL_MS = 150

const OPERATIONS: readonly StoreFault['operation'][] = ['load', 'save', 'delete']
const MOMENTS: readonly StoreFault['when'][] = ['before', 'after']
const ENDPOINTS = ['token', 'registration', 'revocation', 'serverMetadata'] as const

/**
 * Random calls on connections in motion, while requests and responses of the store are lost, and the server responds
 * 503, 429 or not at all before it handles a request. No response with tokens is lost, so nothing may be.
 */
export const soak = (store: StoreAddress, calls: number): Variant => ({
  name: `soak of ${calls.toLocaleString('en')} calls`,
  run: async (seed) => {
    const fleet = await openFleet(store, PROCESSES, () => PATIENT)
    try {
      const random = randomSequence(seed + 1)
      const motion = new Motion(fleet, { connections: CONNECTIONS, seed })
      let faults = 0
      let met = 0
      for (const { caller } of fleet.members) caller.onReached = () => (met += 1)
      motion.start()
      let last = { resolved: 0, at: performance.now() }
      while (motion.resolved < calls && performance.now() - last.at < WAY_OUT_MS) {
        if (motion.resolved > last.resolved) last = { resolved: motion.resolved, at: performance.now() }
        await delay(FAULT_INTERVAL_MS * random() * 2)
        faults += 1
        if (random() < 0.7)
          await pick(random, fleet.members).caller.arm({
            name: `${faults}`,
            operation: pick(random, OPERATIONS),
            when: pick(random, MOMENTS),
            action: 'fail',
            skip: Math.floor(random() * 4),
            times: 1 + Math.floor(random() * 3),
          })
        else
          fleet.server.as.injectFault({
            endpoint: pick(random, ENDPOINTS),
            when: 'before',
            answer: pick(random, [503, 429, 'reset'] as const),
            retryAfterSeconds: 1,
          })
      }
      const { problems, ...result } = await motion.stop()
      met += fleet.server.as.requestLog.entries.filter(({ fault }) => fault !== undefined).length
      const errors = [...result.errors].map(([kind, count]) => `${count} ${kind}`).join(', ')
      return {
        summary: `seed ${seed}, ${faults} faults, which hit ${met} times; ${result.resolved} of ${result.calls} calls succeeded; ${errors}`,
        problems: [
          ...problems,
          ...(met > 0 ? [] : ['the outage did not hit']),
          ...(result.resolved < calls ? [`stuck: only ${result.resolved} calls succeeded`] : []),
        ],
      }
    } finally {
      await fleet.close()
    }
  },
})
