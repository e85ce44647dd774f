import type { Clock } from '../clock.ts'
import { type PortError, portError } from '../errors/index.ts'

/** Watches whether a request has left, and keeps it from leaving too late. */
export interface Departure {
  /** Whether any of it may have reached the network. */
  readonly hasLeft: boolean
  /**
   * Called right before the first byte is written.
   *
   * @returns Why the request must not leave: `HTTP_TIMEOUT` with reason `leaseTooShort`, if it is too late.
   */
  leave(): PortError | undefined
}

/** The departure of a request that must not leave after `sendBefore`, a monotonic instant of this clock. */
export function createDeparture(clock: Clock, sendBefore: number | undefined): Departure {
  let hasLeft = false
  return {
    get hasLeft() {
      return hasLeft
    },
    leave() {
      if (sendBefore !== undefined && clock.monotonic() >= sendBefore) {
        return portError('HTTP_TIMEOUT', 'notSent', { reason: 'leaseTooShort' })
      }
      hasLeft = true
      return undefined
    },
  }
}
