import { Redis } from 'ioredis'
import { startRedisServer } from '../../support/redis-server.ts'
import { type CallError, type Caller } from '../fault-process.ts'
import { type Fleet, openFleet } from '../fleet.ts'
import { persist } from '../persist.ts'
import { callback } from '../scene.ts'
import { WAY_OUT_MS } from '../settings.ts'
import { TcpProxy } from '../tcp-proxy.ts'
import type { Variant, VariantResult } from '../variant.ts'

/** The lifetime of a new token but for a millisecond, so that any other is renewed. */
const RENEWED = { minTtlMs: 3_599_999 }
const USER = 'alice'

/** Signs in; the token has to be renewed at once. */
async function signIn({ server, of }: Fleet, caller: Caller): Promise<void> {
  server.as.switches.accessTokenTtlSeconds = 0
  const deadline = performance.now() + WAY_OUT_MS
  const begun = await persist({ deadline }, () => caller.authorize(of(USER), { force: true }))
  if (begun.status !== 'redirect') throw new Error(`authorize() came to ${begun.status}`)
  const url = await server.as.approve(begun.authorizationUrl)
  await persist({ deadline }, () => callback(caller, url))
  server.as.switches.accessTokenTtlSeconds = 3_600
}

/** `token`, or the error code of a renewal and its reason. */
async function renew({ of }: Fleet, caller: Caller, persists: boolean): Promise<string> {
  const deadline = performance.now() + WAY_OUT_MS
  const call = (): Promise<unknown> => caller.accessToken(of(USER), RENEWED)
  try {
    await (persists ? persist({ deadline }, call) : call())
    return 'token'
  } catch (error) {
    const { code, details } = error as CallError
    return [code, details?.reason].filter((part) => part !== undefined).join(' ')
  }
}

/**
 * The replica that takes over has not received the last writes of its master: a renewal, which the master may have
 * acknowledged.
 */
async function lossyFailover(replicas?: number): Promise<VariantResult> {
  const master = await startRedisServer()
  const heir = await startRedisServer({ config: [`replicaof 127.0.0.1 ${master.port}`] })
  // The heir has a replica as well once it is the master.
  const spare = await startRedisServer({ config: [`replicaof 127.0.0.1 ${heir.port}`] })
  const [oldAdmin, newAdmin] = [new Redis(master.port), new Redis(heir.port)]
  const proxy = await TcpProxy.listen(master.port)
  const url = `redis://127.0.0.1:${proxy.port}`
  const fleet = await openFleet({ kind: 'redis', url, prefix: '', ...(replicas && { replicas }) }, 2)
  try {
    const [a, b] = fleet.members.map(({ caller }) => caller) as [Caller, Caller]
    await signIn(fleet, a)
    await oldAdmin.set('all before', '')
    if ((await oldAdmin.wait(1, 10_000)) !== 1) throw new Error('the replica does not follow its master')
    await newAdmin.replicaof('NO', 'ONE')
    const before = await renew(fleet, a, false)
    proxy.leadTo(heir.port)
    const after = await renew(fleet, b, true)
    const { reused } = fleet.server
    if (after !== 'token') await signIn(fleet, b)
    const last = await renew(fleet, a, true)
    const came = [before, after, last, `reuse ${reused}`].join(', ')
    const expected = replicas === undefined ? LOST : PREVENTED
    const asked = after === 'token' ? 0 : 1
    const kind = replicas === undefined ? 'unavoidable' : 'avoidable'
    return {
      summary: `the renewals before, after and later came to ${came}; ${kind}: user asked ${asked}, reuse ${reused}`,
      problems: came === expected ? [] : [`instead of ${expected}`],
    }
  } finally {
    oldAdmin.disconnect()
    newAdmin.disconnect()
    await fleet.close()
    await proxy.close()
    await Promise.all([master, heir, spare].map((each) => each.stop()))
  }
}

/** Unavoidable: the new master has the refresh token that was redeemed. */
const LOST = 'token, AUTHORIZATION_REQUIRED REFRESH_REJECTED, token, reuse 1'
const PREVENTED = 'STORE_UNAVAILABLE tooFewReplicas, token, token, reuse 0'

export const lossyFailovers: readonly Variant[] = [
  { name: 'a failover that loses a renewal costs a sign-in', run: () => lossyFailover() },
  { name: 'a failover that would lose a renewal costs nothing, with replicas: 1', run: () => lossyFailover(1) },
]
