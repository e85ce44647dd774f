import { describe, expect, test } from 'vitest'
import { MemoryStore } from '../../../src/index.ts'
import { orchestrate, rejection, requestCount, signIn, startWorld, tokenOrCode } from './world.ts'

const keys = {
  name: new Uint8Array(32).fill(1),
  sealing: [{ id: '1', secret: new Uint8Array(32).fill(2) }],
}

describe('what README, Limitations, says', () => {
  test.each([
    ['GET /.well-known/oauth-authorization-server', 503, 'SERVER_METADATA_UNAVAILABLE'],
    ['GET /.well-known/oauth-authorization-server', 429, 'RATE_LIMITED'],
    ['POST /register', 503, 'SERVER_UNAVAILABLE'],
    ['POST /register', 429, 'RATE_LIMITED'],
  ])('%s that is answered with %i is requested again by the next authorize()', async (request, status, code) => {
    const world = await startWorld()
    const isMetadata = request.startsWith('GET')
    world.as.routes[request] = { status, headers: isMetadata ? { 'retry-after': '3600' } : {} }
    const connection = orchestrate().connection({ tenant: 't1', server: world.server })
    expect(await rejection(connection.authorize())).toMatchObject({ failure: { code } })
    const once = requestCount(world, request)
    expect(await rejection(connection.authorize())).toMatchObject({ failure: { code } })
    expect([once, requestCount(world, request)]).toEqual([1, 2])
  })

  test('an older encrypted record that somebody writes to the store counts again', async () => {
    const world = await startWorld()
    const store = new MemoryStore()
    const orchestrator = orchestrate({ store, keys })
    let key = ''
    const save = store.save.bind(store)
    store.save = (...args) => {
      key = args[0]
      return save(...args)
    }
    const connection = await signIn(world, orchestrator)
    const older = (await store.load(key))?.value ?? ''
    await connection.disconnect()
    expect(await tokenOrCode(connection)).toBe('AUTHORIZATION_REQUIRED')
    const { version } = (await store.load(key)) ?? {}
    await save(key, older, { expectedVersion: version, writeId: 'by somebody else' })
    expect(await tokenOrCode(orchestrate({ store, keys }).connection(connection.identity))).toBe('access-1')
  })
})
