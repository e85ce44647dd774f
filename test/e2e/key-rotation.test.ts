import { decodeProtectedHeader } from 'jose'
import { describe, expect, it } from 'vitest'
import { type AuthOrchestrator, type ConnectionEntry, createAuthOrchestrator } from '../../src/index.ts'
import type { StoreFault } from '../support/processes/faulty-store.ts'
import { randomKeys, startWorker, type Worker } from '../support/processes/fleet.ts'
import { openStore } from '../support/processes/open-store.ts'
import { BRISK, EVERY_STORE, pause, type Scene, soon, useStage } from '../support/processes/stage.ts'
import type { TextKeys } from '../support/processes/worker-protocol.ts'
import { verifies } from '../support/verifies.ts'

const stage = useStage()

/** The life of a new token but for a millisecond, so that any other is renewed. */
const RENEWED = { minTtlMs: 3_599_999 }

const bytes = (text: string): Uint8Array => Buffer.from(text, 'base64url')

/** What an operator runs: an orchestrator with these keys, for one task. */
async function operate<Result>(
  { init }: Scene,
  keys: TextKeys,
  work: (orchestrator: AuthOrchestrator) => Promise<Result>,
): Promise<Result> {
  const { store, end } = openStore(init.store)
  const sealing = keys.sealing.map(({ id, secret }) => ({ id, secret: bytes(secret) }))
  const orchestrator = createAuthOrchestrator({
    client: init.client,
    store,
    keys: { name: bytes(keys.name), sealing },
    network: { allow: ['127.0.0.1'] },
  })
  try {
    return await work(orchestrator)
  } finally {
    await orchestrator.close()
    await end()
  }
}

/** Encrypts everything anew, and answers the entries of what could not be. */
const reencrypt = (scene: Scene, keys: TextKeys): Promise<ConnectionEntry[]> =>
  operate(scene, keys, async (orchestrator) => {
    const unreadable: ConnectionEntry[] = []
    for await (const entry of orchestrator.connections()) {
      if ('identity' in entry) await orchestrator.connection(entry.identity).wake()
      else unreadable.push(entry)
    }
    return unreadable
  })

/** The ids of the keys that the records at rest are encrypted with, and of each record its version. */
async function atRest({ init }: Scene): Promise<{ ids: string[]; versions: Map<string, string> }> {
  const { store, end } = openStore(init.store)
  const ids = new Set<string>()
  const versions = new Map<string, string>()
  const { keys } = (await store.keys?.({ cursor: undefined, limit: 1_000 })) ?? { keys: [] }
  for (const key of keys) {
    const record = await store.load(key)
    if (record === undefined) continue
    ids.add(String(decodeProtectedHeader(record.value).kid))
    versions.set(key, record.version)
  }
  await store.close()
  await end()
  return { ids: [...ids].toSorted(), versions }
}

describe.each(EVERY_STORE)('the rotation of a sealing key on %s', (kind) => {
  const who = (user: string) => ({ tenant: 'acme', user, server: stage.mcp.url })

  /** The keys of before, of the first and the second deployment, and of the last one. */
  function rotation({ init: { keys: before } }: Scene): Record<'before' | 'both' | 'turned' | 'after', TextKeys> {
    const { name, sealing: old } = before
    const next = randomKeys().sealing.map(({ secret }) => ({ id: 'k2', secret }))
    const keys = (...sealing: TextKeys['sealing']): TextKeys => ({ name, sealing })
    return { before, both: keys(...old, ...next), turned: keys(...next, ...old), after: keys(...next) }
  }

  it(
    'while calls go on, every record is encrypted anew, and without the old key every connection works and no client registers again',
    verifies(140, async () => {
      const scene = stage.scene(kind)
      const { before, both, turned, after } = rotation(scene)
      const start = (keys: TextKeys): Promise<Worker> => startWorker({ ...scene.init, keys })
      const first = await Promise.all([start(before), start(before)])
      await scene.signIn(first[0], first[1], who('alice'))
      await scene.signIn(first[1], first[0], who('carol'))
      const callback = await scene.callback(first[0], {}, who('bob'))
      expect((await atRest(scene)).ids).toEqual(['k1'])

      // The first deployment reads what the next one will write, which reads what the first one has written.
      const [older, newer] = await Promise.all([start(both), start(turned)])
      const calls = [older, newer].map((worker) => worker.accessToken(who('alice'), RENEWED))
      const [unreadable, ...tokens] = await Promise.all([reencrypt(scene, turned), ...calls])
      expect(unreadable).toEqual([])
      expect(tokens).toHaveLength(2)
      // What an older process wrote meanwhile is encrypted anew once it is gone.
      await older.accessToken(who('carol'), RENEWED)
      await Promise.all([...first, older].map((worker) => worker.dismiss()))
      expect(await reencrypt(scene, turned)).toEqual([])
      const settled = await atRest(scene)
      expect(settled.ids).toEqual(['k2'])
      // Nothing is left to do, so nothing is written.
      await reencrypt(scene, turned)
      expect((await atRest(scene)).versions).toEqual(settled.versions)

      const last = await start(after)
      expect(await last.whoami(who('alice'))).toBe('you are alice')
      expect((await last.completeCallback(callback)).status).toBe('authorized')
      for (const user of ['alice', 'bob', 'carol']) await last.accessToken(who(user), RENEWED)
      await scene.signIn(last, last, who('dave'))
      const { tokenRequests } = await stage.as.ledger()
      expect(new Set(tokenRequests.map(({ clientId }) => clientId)).size).toBe(1)
      expect(tokenRequests.filter(({ status }) => status !== 200)).toEqual([])
    }),
  )

  it('without the old key before everything was encrypted anew, every call says so, nothing is lost, and with it again everything works', async () => {
    const scene = stage.scene(kind)
    const { before, turned, after } = rotation(scene)
    const early = await startWorker({ ...scene.init, keys: before })
    await scene.signIn(early, early, who('alice'))
    const { versions } = await atRest(scene)
    const hasty = await startWorker({ ...scene.init, keys: after })
    const unknown = { code: 'SNAPSHOT_KEY_UNKNOWN' }
    for (const call of [
      () => hasty.status(who('alice')),
      () => hasty.accessToken(who('alice')),
      () => hasty.authorize(who('alice')),
      // Its connection is new, but not the registration that it shares.
      () => hasty.authorize(who('bob')),
      () => hasty.disconnect(who('alice')),
    ])
      await expect(call()).rejects.toMatchObject(unknown)
    const entries = await reencrypt(scene, after)
    expect(entries.map((entry) => 'failure' in entry && entry.failure.code)).toEqual([unknown.code, unknown.code])
    const left = await atRest(scene)
    for (const [key, version] of versions) expect(left.versions.get(key)).toBe(version)

    expect(await reencrypt(scene, turned)).toEqual([])
    expect(await hasty.whoami(who('alice'))).toBe('you are alice')
    expect((await hasty.authorize(who('bob'))).status).toBe('redirect')
  })

  it('processes that do not have the new key yet say so of what another one wrote with it, change nothing, and go on once they have it', async () => {
    const scene = stage.scene(kind)
    const { before, both, turned } = rotation(scene)
    const [late, early] = await Promise.all([before, turned].map((keys) => startWorker({ ...scene.init, keys })))
    if (late === undefined || early === undefined) expect.unreachable()
    await scene.signIn(late, late, who('alice'))
    await scene.signIn(late, late, who('carol'))
    const { value } = await early.accessToken(who('alice'), RENEWED)
    const { versions } = await atRest(scene)
    const unknown = { code: 'SNAPSHOT_KEY_UNKNOWN' }
    await expect(late.accessToken(who('alice'), RENEWED)).rejects.toMatchObject(unknown)
    await expect(late.disconnect(who('alice'))).rejects.toMatchObject(unknown)
    expect((await atRest(scene)).versions).toEqual(versions)
    // What has the old key is everybody's.
    expect(await late.whoami(who('carol'))).toBe('you are alice')
    expect(await early.whoami(who('carol'))).toBe('you are alice')
    const corrected = await startWorker({ ...scene.init, keys: both })
    expect((await corrected.accessToken(who('alice'))).value).toBe(value)
    await corrected.accessToken(who('alice'), RENEWED)
    const { tokenRequests } = await stage.as.ledger()
    expect(tokenRequests.filter(({ status }) => status !== 200)).toEqual([])
  })

  it('a registration whose process was killed in the middle of it is encrypted anew once the lease is over, and no sign-in needs the old key', async () => {
    const scene = stage.scene(kind, BRISK)
    const { turned, after } = rotation(scene)
    const claimed: StoreFault = { ...pause('claimed', 'after'), record: 'registration' }
    const killed = await scene.start({ faults: [claimed] })
    void killed.authorize(who('alice'))
    await killed.waitFor('claimed')
    await killed.kill('SIGKILL')
    await soon(async () => {
      expect(await reencrypt(scene, turned)).toEqual([])
      expect((await atRest(scene)).ids).toEqual(['k2'])
    })
    const last = await startWorker({ ...scene.init, keys: after })
    await scene.signIn(last, last, who('bob'))
    expect(await last.whoami(who('bob'))).toBe('you are alice')
  })

  it('a registration whose key is lost is forgotten by name, and users of its issuer sign in again', async () => {
    const scene = stage.scene(kind)
    const { before, after } = rotation(scene)
    const early = await startWorker({ ...scene.init, keys: before })
    await scene.signIn(early, early, who('alice'))
    await operate(scene, after, (orchestrator) => orchestrator.forgetRegistration({ issuer: stage.as.issuer }))
    const late = await startWorker({ ...scene.init, keys: after })
    await scene.signIn(late, late, who('bob'))
    expect(await late.whoami(who('bob'))).toBe('you are alice')
  })
})
