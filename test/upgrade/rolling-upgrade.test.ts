import { describe, expect, inject, test } from 'vitest'
import { connectionKey, routingId } from '../../src/connection/routing.ts'
import { createSealer } from '../../src/durable/sealing.ts'
import type { ConnectionContext } from '../../src/schemas/connection-context.ts'
import { openStore } from '../support/processes/open-store.ts'
import { attemptsAgain, directionsOf } from '../support/processes/release.ts'
import { sameToken, type Scene, soon, STORES, useStage } from '../support/processes/stage.ts'

const SECRET = 'a-secret-of-a-client-that-needs-no-user'
const stage = useStage({
  clients: [
    {
      client_id: 'machine',
      client_secret: SECRET,
      token_endpoint_auth_method: 'client_secret_basic',
      grant_types: ['client_credentials'],
      scope: 'mcp:tools offline_access',
    },
  ],
})

const releases = inject('releases')

interface Envelope {
  machineVersion: number
  snapshot: { value: unknown; context: ConnectionContext }
}

/** Replaces the record of a connection, as a newer release might have written it, and answers what is stored. */
async function rewrite({ of, init }: Scene, change: (envelope: Envelope) => void = () => {}): Promise<Envelope> {
  const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'base64url'))
  const key = connectionKey(routingId(bytes(init.keys.name), [of.tenant, of.user ?? null, of.server, null]))
  const sealer = createSealer(init.keys.sealing.map(({ id, secret }) => ({ id, secret: bytes(secret) })))
  const { store, end } = openStore(init.store)
  const record = await store.load(key)
  if (record === undefined) throw new Error('no record')
  const envelope = JSON.parse(await sealer.open(record.value, { key })) as Envelope
  change(envelope)
  const sealed = await sealer.seal(JSON.stringify(envelope), { key })
  await store.save(key, sealed, { expectedVersion: record.version, writeId: `by hand ${record.version}` })
  await store.close()
  await end()
  return envelope
}

describe.each(STORES)('a rolling upgrade on %s', (store) => {
  describe.each(directionsOf(releases))('from $first to $second', ({ old, anew }) => {
    test('an attempt, its tokens, their renewal and the registration of one are continued by the other', async () => {
      const { of, start, callback, consent } = stage.scene(store)
      const [a, b] = await Promise.all([start({}, old), start({}, anew)])
      const url = await callback(a)
      expect((await b.completeCallback(url)).status).toBe('authorized')
      const token = await b.accessToken(of)
      expect(await a.accessToken(of)).toEqual(sameToken(token))

      const renewed = await a.accessToken(of, { rejectedToken: token.value })
      expect(renewed.value).not.toBe(token.value)
      expect(await b.accessToken(of, { rejectedToken: token.value })).toEqual(sameToken(renewed))
      expect(await b.whoami(of)).toBe('you are alice')
      expect(await stage.way(a, of)).toEqual(await stage.way(b, of))

      const other = { ...of, user: 'u2' }
      const begun = await b.authorize(other)
      expect((await a.completeCallback(await consent(begun))).status).toBe('authorized')
      expect((await stage.as.ledger()).counts.registration).toBe(1)

      await a.disconnect(of)
      expect((await b.status(of)).state).toBe('disconnected')
      await expect(b.accessToken(of)).rejects.toMatchObject({ code: 'AUTHORIZATION_REQUIRED' })
      expect(await stage.tokenRequests()).toEqual([
        'authorization_code 200',
        'refresh_token 200',
        'authorization_code 200',
      ])
    })

    test('tokens of client credentials are used and renewed by the other', async () => {
      const clients = [{ issuer: stage.as.issuer, clientId: 'machine', clientSecret: SECRET }]
      const { of, start } = stage.scene(store, { clients })
      const [a, b] = await Promise.all([start({}, old), start({}, anew)])
      await a.authorize(of, { grant: 'client_credentials' })
      const token = await b.accessToken(of)
      const renewed = await b.accessToken(of, { rejectedToken: token.value })
      expect(renewed.value).not.toBe(token.value)
      expect(await a.accessToken(of)).toEqual(sameToken(renewed))
      expect(await stage.tokenRequests()).toEqual(['client_credentials 200', 'client_credentials 200'])
    })
  })

  describe.each(directionsOf(releases.filter(attemptsAgain)))('from $first to $second', ({ old, anew }) => {
    test('a revocation that one could not finish is finished by the other', async () => {
      const { of, start, signIn } = stage.scene(store)
      const [a, b] = await Promise.all([start({}, old), start({}, anew)])
      await signIn(a)
      await stage.as.fault({ endpoint: 'revocation', when: 'before', answer: 503 })
      expect((await a.disconnect(of)).revoked).toBe('pending')
      expect((await b.status(of)).nextWakeAt).toBeGreaterThan(Date.now())
      await soon(async () => {
        await b.wake(of)
        expect((await b.status(of)).nextWakeAt).toBeUndefined()
      })
      expect((await a.status(of)).state).toBe('disconnected')
      // The refresh token twice, and the access token.
      expect((await stage.as.ledger()).counts.revocation).toBe(3)
    })
  })

  describe.each(releases)('$name', ({ url }) => {
    test('writes back the members of a record that it does not have', async () => {
      const scene = stage.scene(store)
      const [a, b] = await Promise.all([scene.start({}, url), scene.start()])
      const rejectedToken = await scene.signIn(b)
      await scene.callback(b, { force: true })
      const later = { later: { since: 'the next release' } }
      await rewrite(scene, ({ snapshot: { context } }) => {
        for (const each of [context, ...context.servers, ...context.attempts]) Object.assign(each, later)
      })
      expect((await a.accessToken(scene.of, { rejectedToken })).value).not.toBe(rejectedToken)
      const { context } = (await rewrite(scene)).snapshot
      expect([context, ...context.servers, ...context.attempts]).toMatchObject([later, later, later])
      expect(context.generation).toBe(2)
    })

    test('rejects a record that it cannot continue as too new, and leaves it as it is', async () => {
      const scene = stage.scene(store)
      const [a, b] = await Promise.all([scene.start({}, url), scene.start()])
      const rejectedToken = await scene.signIn(b)
      const written = await rewrite(scene, (envelope) => (envelope.machineVersion += 1))
      const tooNew = { code: 'SNAPSHOT_TOO_NEW', nextAction: 'none', retryable: false }
      await expect(a.accessToken(scene.of, { rejectedToken })).rejects.toMatchObject(tooNew)
      await expect(a.authorize(scene.of, { force: true })).rejects.toMatchObject(tooNew)
      await expect(a.disconnect(scene.of)).rejects.toMatchObject(tooNew)
      expect(await rewrite(scene)).toEqual(written)
      expect(await stage.tokenRequests()).toEqual(['authorization_code 200'])
    })
  })
})
