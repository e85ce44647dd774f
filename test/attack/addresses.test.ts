import { expect, test } from 'vitest'
import { createAuthOrchestrator, isAuthorizationError } from '../../src/index.ts'
import { startForwardProxy } from '../unit/connection/forward-proxy.ts'
import { startPeer } from '../unit/connection/peer.ts'
import { CLIENT, startWorld, type World } from '../unit/connection/world.ts'
import { type Door, DOORS } from './support/doors.ts'
import { useLoopbackOnly } from './support/loopback-only.ts'
import { ALL, printCounts, selection } from './support/selection.ts'
import { type Spelling, SPELLINGS } from './support/spellings.ts'

const portOf = (origin: string): number => Number(new URL(origin).port)
/** The name of a URL as resolvers are asked for it. */
const nameOf = (host: string): string | undefined =>
  URL.canParse(`https://${host}`) ? new URL(`https://${host}`).hostname.replace(/\.$/, '') : undefined

/** Restores the world as it was when this was called. */
function restorer({ as, rs, resourceMetadata, serverMetadata, tokenAnswers }: World): () => void {
  const changed: object[] = [as.routes, rs.routes, resourceMetadata, serverMetadata]
  const copies = changed.map((object) => ({ ...object }))
  return () => {
    for (const [index, object] of changed.entries()) {
      for (const name of Object.keys(object)) Reflect.deleteProperty(object, name)
      Object.assign(object, copies[index])
    }
    tokenAnswers.length = as.seen.length = rs.seen.length = 0
  }
}

/** Which spellings a door is tried with: what resolves names itself decides about all names but local ones. */
function spellingsFor({ sentBy }: Door): readonly Spelling[] {
  if (sentBy === 'proxy')
    return SPELLINGS.filter(({ resolvesTo, isLocalName }) => resolvesTo === undefined || isLocalName)
  return sentBy === 'fetch' ? SPELLINGS.filter(({ resolvesTo = [] }) => resolvesTo.length < 2) : SPELLINGS
}

/** Prepares attempts at one door; each tells what was requested of a host that is not allowed. */
async function atDoor(door: Door) {
  const world = await startWorld()
  const canary = await startPeer()
  const proxy = door.sentBy === 'proxy' ? await startForwardProxy() : undefined
  const restore = restorer(world)
  const own = [world.issuer, world.server].map(portOf)
  let spelling: Spelling | undefined
  let turn = 0
  let ports: number[] = []
  const { attempted } = useLoopbackOnly(
    (name) => {
      if (spelling?.resolvesTo === undefined || name !== nameOf(spelling.host)) return undefined
      turn += 1
      return spelling.resolvesTo[Math.min(turn, spelling.resolvesTo.length) - 1]
    },
    () => ports,
  )

  /** The hosts that were asked for, `allowed` being a further port of 127.0.0.1 that may be. */
  async function attempt(origin: string, allowed?: number): Promise<{ asked: string[]; code: string }> {
    const fetched: string[] = []
    const allowedPorts = [...own, ...(allowed === undefined ? [] : [allowed])]
    ports = [...allowedPorts, ...(proxy === undefined ? [] : [proxy.port])]
    attempted.length = turn = 0
    proxy?.asked.splice(0)
    const isAllowed = (host: string): boolean => allowedPorts.some((port) => host === `127.0.0.1:${port}`)
    const hostFetch: typeof fetch = async (input, init) => {
      const { host } = new URL(input instanceof Request ? input.url : input)
      if (isAllowed(host)) return await fetch(input, init)
      fetched.push(host)
      throw new TypeError('only loopback in this test')
    }
    const network = {
      allow: allowedPorts.map((port) => `127.0.0.1:${port}`),
      timeoutMs: 5_000,
      ...(proxy !== undefined && { proxy: proxy.url }),
      ...(door.sentBy === 'fetch' && { fetch: hostFetch }),
    }
    const opened: { close(): Promise<void> }[] = []
    const connect = (options = {}, server = world.server) => {
      const orchestrator = createAuthOrchestrator({ client: CLIENT, network, ...options })
      opened.push(orchestrator)
      return { orchestrator, connection: orchestrator.connection({ tenant: 't1', user: 'u1', server }) }
    }
    const code = await Promise.resolve()
      .then(() => door.open({ world, connect }, (path) => `${origin}${path}`))
      .then(
        () => 'no failure',
        (error: unknown) =>
          isAuthorizationError(error) ? error.code : error instanceof TypeError ? 'TypeError' : String(error),
      )
    await Promise.all(opened.map((each) => each.close()))
    restore()
    const proxied = (proxy?.asked ?? []).map((line) => line.split(/[ /]/)[1] ?? '')
    const asked = [
      ...attempted.flatMap(({ addresses, host, port }) =>
        (addresses.length > 0 ? addresses : [host]).map((each) => `${each}:${port}`),
      ),
      ...proxied.filter((host) => !isAllowed(host)),
      ...fetched,
    ]
    return { asked, code }
  }
  return {
    attempt,
    canary,
    use(next: Spelling) {
      spelling = next
    },
  }
}

/** Where a name that is bound to another address at every look-up may lead: the first one is public. */
const isPublic = (asked: string): boolean => asked.startsWith('93.184.216.34:')

const results: { door: string; attempts: number; through: number; codes: Map<string, number> }[] = []

test.each(Object.entries(DOORS))('no spelling of a forbidden address is requested by way of %s', async (name, door) => {
  const { attempt, canary, use } = await atDoor(door)
  const port = portOf(canary.origin)
  // The way in leads somewhere: an address that is allowed is requested.
  await attempt(canary.origin, port)
  expect(canary.seen.length > 0).toBe(door.neverRequested !== true)
  canary.seen.length = 0

  const through: string[] = []
  const codes = new Map<string, number>()
  const chosen = selection([...spellingsFor(door).entries()], 12, Object.keys(DOORS).indexOf(name))
  for (const [index, spelling] of chosen) {
    use(spelling)
    const origins = [`https://${spelling.host}`, `http://${spelling.host}:${port}`, `https://${spelling.host}:8443`]
    const origin = origins[Math.trunc(index / 5) % origins.length] ?? ''
    const { asked, code } = await attempt(origin)
    codes.set(code, (codes.get(code) ?? 0) + 1)
    through.push(...asked.filter((host) => !isPublic(host)).map((host) => `${origin}: ${host}`))
  }
  results.push({ door: name, attempts: chosen.length, through: through.length, codes })
  expect(through).toEqual([])
  expect(canary.seen).toEqual([])
})

test('every way in was tried with the spellings of forbidden addresses', () => {
  const attempts = results.reduce((sum, each) => sum + each.attempts, 0)
  const through = results.reduce((sum, each) => sum + each.through, 0)
  const counts = { spellings: SPELLINGS.length, doors: Object.keys(DOORS).length, attempts, 'got through': through }
  printCounts('addresses × doors', counts, true)
  for (const { door, codes } of results) printCounts(door, Object.fromEntries(codes), true)
  expect(SPELLINGS.length).toBeGreaterThanOrEqual(370)
  expect(results.length).toBe(Object.keys(DOORS).length)
  expect(attempts).toBeGreaterThan(ALL ? 5_180 : 900)
})
