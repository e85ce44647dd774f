import assert from 'node:assert/strict'
import { setTimeout as delay } from 'node:timers/promises'
import type { Links } from '../support/fleet/links.ts'
import { again } from './patience.ts'
import { needsUser, NOTHING, type ProcessFleet } from './process-fleet.ts'
import type { ProcessServers } from './process-servers.ts'
import type { Mishap, Overtaking } from './process-steps.ts'
import { type Identity, listTools, signIn } from './sign-in.ts'
import { EARLY_MS, LEASE_MS, REQUEST_TIMEOUT_MS } from './times.ts'

/** How long a token has to be good for where nobody may wait for a claim. */
const ENOUGH_MS = EARLY_MS / 2
/** Longer than a request that has no response, and shorter than the rest of a lease that has just begun. */
const AT_ONCE_MS = (LEASE_MS + REQUEST_TIMEOUT_MS) / 2

/** What both cases need of their world. */
interface Surroundings {
  readonly fleet: ProcessFleet
  readonly servers: ProcessServers
  readonly links: Links
}

/** While one process renews a token early, and does not come back, another one gets the token that is there, at once. */
export async function renewEarly(
  surroundings: Surroundings,
  of: Identity,
  { by, mishap }: { by: number; mishap: Mishap },
): Promise<void> {
  const { fleet, servers } = surroundings
  const { expiresAt } = await signedIn(surroundings, by, of)
  if (expiresAt === undefined) return
  await delay(Math.max(0, expiresAt - EARLY_MS - Date.now()))
  await fleet.perform(by, mishap, (each) => each.accessToken(of))
  const other = await fleet.worker(by + 1)
  const before = await again(() => other.status(of))
  if (!before.authorized || (before.expiresAt ?? 0) - Date.now() < ENOUGH_MS) return
  const beganAt = performance.now()
  const outcome = await fleet.perform(by + 1, NOTHING, (each) => each.accessToken(of))
  assert.ok(!needsUser(outcome), `a token that is still good is not handed out: ${JSON.stringify(outcome)}`)
  const tookMs = performance.now() - beganAt
  assert.ok(tookMs < AT_ONCE_MS || servers.stoodStill, `a token that is still good was handed out after ${tookMs} ms`)
}

/** A process is stopped while it renews a token, another one takes over, and the first one goes on: nothing is lost. */
export async function overtake(
  surroundings: Surroundings,
  of: Identity,
  { by, mishap, isOverloaded }: Overtaking,
): Promise<void> {
  const { fleet, servers } = surroundings
  await signedIn(surroundings, by, of)
  const current = await fleet.perform(by, NOTHING, (worker) => worker.accessToken(of))
  if (current.kind !== 'done') return
  const first = servers.sent.count
  const renewal = { rejectedToken: current.value.value }
  const renewed = await fleet.perform(by, mishap, (worker) => worker.accessToken(of, renewal))
  if (renewed.kind !== 'stopped') return
  if (isOverloaded)
    for (const server of servers.authorization) server.injectFault({ endpoint: 'token', when: 'before', answer: 503 })
  await fleet.perform(by + 1, NOTHING, (worker) => worker.accessToken(of, renewal))
  // Before the first process goes on: what it has received, nobody could know until now.
  servers.check()
  servers.clearFaults()
  await fleet.resume()
  const newest = servers.sent.issuedSince(first).at(-1)
  if (newest === undefined || !servers.accepts(newest)) return
  const worker = await fleet.worker(by + 1)
  assert.equal((await again(() => listTools({ worker, of }))).status, 200, 'tokens that have arrived are lost')
}

/** Signs the user in where that is necessary, at servers that do what they should, with no other process stopped. */
async function signedIn({ fleet, servers, links }: Surroundings, by: number, of: Identity) {
  servers.clearFaults()
  servers.mcp.requiredScope = undefined
  await fleet.resume()
  const worker = await fleet.worker(by)
  const { authorized } = await again(() => worker.status(of))
  if (!authorized) await signIn({ worker, of }, links)
  return await again(() => worker.status(of))
}
