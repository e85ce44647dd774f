import type { Cluster, Redis } from 'ioredis'
import * as v from 'valibot'
import { mastersOf } from './masters.ts'

const NAME = 'maxmemory-policy'
const Policy = v.pipe(v.string(), v.regex(/^[a-z-]{1,32}$/))
/** A list with RESP2, a map with RESP3. */
const ConfigSchema = v.union([
  v.pipe(
    v.tuple([v.literal(NAME), Policy]),
    v.transform(([, policy]) => policy),
  ),
  v.pipe(
    v.object({ [NAME]: Policy }),
    v.transform(({ [NAME]: policy }) => policy),
  ),
])

/** What a policy can evict, by the start of its name, and what happens then. */
const LOSSES = {
  allkeys:
    'every record: users have to sign in again, and if a claim is evicted, its code or refresh token can be sent twice',
  volatile:
    'every record that expires: sign-ins, registrations and requests in progress, the outcomes of past sign-ins, connections whose refresh token expires, and what prevents a deleted record from being written again',
}

/**
 * Emits a process warning if a master evicts records when its memory is full. None where `CONFIG GET` is not allowed,
 * as with many managed services. Never rejects.
 */
export async function warnOfEviction(client: Redis | Cluster): Promise<void> {
  const masters = await mastersOf(client).catch(() => [])
  const policies = new Set(await Promise.all(masters.map(policyOf)))
  for (const [kind, lost] of Object.entries(LOSSES)) {
    const evicting = [...policies].filter((policy) => policy?.startsWith(`${kind}-`))
    if (evicting.length === 0) continue
    const text = `Redis may evict ${lost}, since its ${NAME} is ${evicting.join(', ')}: set it to noeviction`
    process.emitWarning(text, { type: 'AuthchartWarning', code: 'AUTHCHART_RECORDS_EVICTED' })
    // What any other policy can evict is part of it.
    return
  }
}

async function policyOf(master: Redis): Promise<string | undefined> {
  try {
    return v.parse(ConfigSchema, await master.config('GET', NAME))
  } catch {
    return undefined
  }
}
