/** So short that a run can wait for thousands of leases, and long enough for a request on a busy machine. */
export const POLICY = { leaseMs: 4_000, graceMs: 800 }
export const NETWORK = { allow: ['127.0.0.1'], timeoutMs: 1_700 }

/** For what must not time out, whatever else the machine does. A code outlives the lease, so that it can be sent again. */
export const PATIENT = { network: { ...NETWORK, timeoutMs: 12_000 }, policy: { leaseMs: 25_000, graceMs: 5_000 } }

/** Where a browser is sent back to. Nobody listens there: the callback is carried to a process. */
export const REDIRECT_URI = 'http://127.0.0.1:1/callback'

/** Within this time a connection has to be authorized again, or to say what is missing: a few leases and backoffs. */
export const WAY_OUT_MS = 60_000
