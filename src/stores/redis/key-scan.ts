import type { Cluster, Redis } from 'ioredis'
import * as v from 'valibot'
import type { KeyPage } from '../snapshot-store.ts'
import { mastersOf } from './masters.ts'

/** How the key of every record starts, after the prefix. */
const RECORD = 'authchart:{'

const CursorSchema = v.pipe(
  v.string(),
  v.regex(/^\d+ \d+$/),
  v.transform((text) => text.split(' ')),
  v.tuple([v.pipe(v.string(), v.transform(Number)), v.string()]),
)

/** The characters that have a meaning in a pattern. */
const escapeGlob = (text: string): string => text.replaceAll(/[*?[\]\\^-]/g, String.raw`\$&`)

/** One page of the keys below a prefix: one SCAN of one master. The cursor is the index of that master and its cursor. */
export async function scanKeys(
  client: Redis | Cluster,
  prefix: string,
  { cursor = '0 0', limit }: { cursor?: string | undefined; limit: number },
): Promise<KeyPage> {
  const [index, from] = v.parse(CursorSchema, cursor)
  const masters = await mastersOf(client)
  const master = masters[index]
  if (master === undefined) return { keys: [], cursor: undefined }
  // SCAN takes a pattern and no key: ioredis does not add its prefix.
  const start = `${client.options.keyPrefix ?? ''}${prefix}`
  const [next, found] = await master.scan(from, 'MATCH', `${escapeGlob(start + RECORD)}*`, 'COUNT', limit)
  const after = next === '0' ? `${index + 1} 0` : `${index} ${next}`
  const isLast = next === '0' && index + 1 >= masters.length
  return { keys: found.map((key) => key.slice(start.length)), cursor: isLast ? undefined : after }
}
