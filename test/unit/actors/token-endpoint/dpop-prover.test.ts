import { decodeJwt } from 'jose'
import { describe, expect, test } from 'vitest'
import { MAX_NONCES } from '../../../../src/actors/limits.ts'
import { DpopProver } from '../../../../src/actors/token-endpoint/dpop-prover.ts'
import { DPOP_ALGORITHMS } from '../../../../src/protocol/dpop.ts'
import type { AuthorizationServer } from '../../../../src/schemas/credentials.ts'
import { hashOfToken, readProof } from '../../../support/proofs.ts'
import { verifies } from '../../../support/verifies.ts'
import { makeTransport } from '../../http/support.ts'
import { type Answer, makeDependencies, rejectionOf, startTokenEndpoint, steppingClock } from '../support.ts'

const bearer = { access_token: 't', token_type: 'Bearer', refresh_token: 'r2' }
const bound = { ...bearer, token_type: 'dpop' }
/** A nonce challenge with its error in the body only. */
const challenge = (nonce: string): Answer => ({
  status: 400,
  headers: { 'dpop-nonce': nonce },
  body: { error: 'use_dpop_nonce' },
})
const offered = { alg: 'ES256' }
const required = { alg: 'ES256', required: true } as const

/** A token endpoint with these answers one after the other, the last one again and again. */
async function start(answers: Answer[], dpop: AuthorizationServer['dpop'] = offered) {
  const token = (): Answer => (answers.length > 1 ? answers.shift() : answers[0]) ?? {}
  const world = await startTokenEndpoint({ token, server: { dpop } })
  return {
    ...world,
    nonces: () => world.peer.seen.map(({ headers }) => decodeJwt(String(headers['dpop'])).nonce),
    proofs: () => Promise.all(world.peer.seen.map(({ headers }) => readProof(headers['dpop']))),
  }
}

describe('a DPoP proof', () => {
  test.each(DPOP_ALGORITHMS)(
    'is signed with %s and contains only the public key',
    verifies(191, async (alg) => {
      const prover = new DpopProver(steppingClock())
      const key = await prover.createKey(alg)
      const request = new Request('https://h:8443/mcp?secret=1#part', { method: 'post' })
      const { authorization, dpop } = await prover.authorizationHeaders(request, 'the-token', key)
      expect(authorization).toBe('DPoP the-token')
      const { header, claims } = await readProof(dpop)
      const { d: _, alg: _alg, ...publicHalf } = key
      expect(header).toEqual({ typ: 'dpop+jwt', alg, jwk: publicHalf })
      expect(claims).toEqual({
        jti: Buffer.alloc(16, 7).toString('base64url'),
        htm: 'POST',
        htu: 'https://h:8443/mcp',
        iat: 1_700_000_000,
        ath: hashOfToken('the-token'),
      })
    }),
  )

  test(
    'contains the last nonce of its server, separately for authorization server and resource server',
    verifies(192, async () => {
      const { dpop: prover } = makeDependencies()
      const key = await prover.createKey('ES256')
      const note = (nonce: string, ...[verifier, url]: [Parameters<DpopProver['noteNonce']>[0], string]): void =>
        prover.noteNonce(verifier, url, new Headers({ 'dpop-nonce': nonce }))
      const nonceAt = async (url: string) =>
        decodeJwt((await prover.authorizationHeaders(new Request(url), 't', key)).dpop).nonce
      note('of the server', 'authorizationServer', 'https://h/token')
      expect(await nonceAt('https://h/mcp')).toBeUndefined()
      note('first', 'resourceServer', 'https://h/mcp')
      note('second', 'resourceServer', 'https://h/other')
      note('of another', 'resourceServer', 'https://h:8443/mcp')
      prover.noteNonce('resourceServer', 'https://h/mcp', new Headers())
      expect(await nonceAt('https://h/mcp')).toBe('second')
      expect(await nonceAt('https://h:8443/mcp')).toBe('of another')
    }),
  )

  test('contains the nonce before one of more than 1,024 characters', async () => {
    const { dpop: prover } = makeDependencies()
    const key = await prover.createKey('ES256')
    for (const nonce of ['n'.repeat(1_024), 'n'.repeat(1_025), ''])
      prover.noteNonce('resourceServer', 'https://h/', new Headers({ 'dpop-nonce': nonce }))
    const { dpop } = await prover.authorizationHeaders(new Request('https://h/mcp'), 't', key)
    expect(decodeJwt(dpop).nonce).toBe('n'.repeat(1_024))
  })

  test('has no nonce after the least recently used nonces were evicted', async () => {
    const { dpop: prover } = makeDependencies()
    const key = await prover.createKey('ES256')
    const nonceAt = async (url: string) =>
      decodeJwt((await prover.authorizationHeaders(new Request(url), 't', key)).dpop).nonce
    const note = (host: string) =>
      prover.noteNonce('resourceServer', `https://${host}/`, new Headers({ 'dpop-nonce': host }))
    note('h1')
    note('h2')
    // What is used is as good as new.
    expect(await nonceAt('https://h1/')).toBe('h1')
    for (let count = 1; count < MAX_NONCES; count += 1) note(`more-${count}`)
    expect([await nonceAt('https://h1/'), await nonceAt('https://h2/')]).toEqual(['h1', undefined])
  })
})

describe('a token request', () => {
  test('has no proof when DPoP is not negotiated', async () => {
    const { peer, exchange } = await startTokenEndpoint({ token: { body: bearer } })
    expect((await exchange()).dpopKey).toBeUndefined()
    expect(peer.seen[0]?.headers['dpop']).toBeUndefined()
  })

  test.each(['exchange', 'request'] as const)(
    'of kind %s creates a key and returns it with the bound tokens',
    verifies(190, async (kind) => {
      const world = await start([{ body: bound }])
      const { tokenType, dpopKey } = await world[kind]()
      expect(tokenType).toBe('DPoP')
      const [proof] = await world.proofs()
      const { d: _, alg, ...publicHalf } = dpopKey ?? { d: '', alg: '' }
      expect([alg, proof?.header.jwk]).toEqual(['ES256', publicHalf])
      expect(proof?.claims).toMatchObject({ htm: 'POST', htu: `${world.peer.origin}/token` })
      expect(proof?.claims).not.toHaveProperty('ath')
      expect(proof?.claims).not.toHaveProperty('nonce')
    }),
  )

  test(
    'to refresh proves possession of the key of the tokens and returns that key, whatever the token type',
    verifies(193, async () => {
      const { deps, peer, refresh, proofs } = await start([{ body: bound }, { body: bearer }])
      const key = await deps.dpop.createKey('ES384')
      expect((await refresh({ dpopKey: key })).dpopKey).toEqual(key)
      expect(await refresh({ dpopKey: key })).toMatchObject({ tokenType: 'Bearer', dpopKey: key })
      const { d: _, alg: _alg, ...publicHalf } = key
      expect((await proofs()).map(({ header }) => header.jwk)).toEqual([publicHalf, publicHalf])
      expect(new Set(peer.seen.map(({ headers }) => headers['dpop'])).size).toBe(2)
    }),
  )

  test('to refresh unbound tokens creates a key', async () => {
    const { refresh } = await start([{ body: bound }])
    expect(await refresh()).toMatchObject({ tokenType: 'DPoP', dpopKey: { alg: 'ES256' } })
  })

  test(
    'is retried once with a new proof after use_dpop_nonce',
    verifies(192, async () => {
      const { exchange, peer, proofs, nonces } = await start([challenge('n1'), { body: bound }])
      expect((await exchange()).tokenType).toBe('DPoP')
      expect(nonces()).toEqual([undefined, 'n1'])
      const [first, second] = await proofs()
      expect(second?.thumbprint).toBe(first?.thumbprint)
      expect(second?.claims.jti).not.toBe(first?.claims.jti)
      expect(peer.seen[1]?.body).toBe(peer.seen[0]?.body)
    }),
  )

  test(
    'has the nonce of the last response, successful or not',
    verifies(192, async () => {
      const { request, nonces } = await start([
        { body: bound, headers: { 'dpop-nonce': 'n1' } },
        { status: 400, body: { error: 'invalid_client' }, headers: { 'dpop-nonce': 'n2' } },
        { body: bound },
      ])
      await request()
      await rejectionOf(request())
      await request()
      expect(nonces()).toEqual([undefined, 'n1', 'n2'])
    }),
  )

  test('is not sent a third time after a second use_dpop_nonce', async () => {
    const { exchange, peer, nonces } = await start([challenge('n1'), challenge('n2'), { body: bound }])
    expect(await rejectionOf(exchange())).toEqual({
      code: 'EXCHANGE_REJECTED',
      outcome: 'rejected',
      details: { url: `${peer.origin}/token`, status: 400, error: 'use_dpop_nonce', reason: 'dpopProof' },
    })
    expect(nonces()).toEqual([undefined, 'n1'])
  })

  test.each<[string, Answer]>([
    ['without a nonce', { status: 400, body: { error: 'use_dpop_nonce' } }],
    ['with another error', { status: 400, headers: { 'dpop-nonce': 'n' }, body: { error: 'invalid_dpop_proof' } }],
    ['with status 500', { status: 500, headers: { 'dpop-nonce': 'n' }, body: { error: 'use_dpop_nonce' } }],
    ['without an error code', { status: 400, headers: { 'dpop-nonce': 'n' }, body: '<html>' }],
  ])('is not retried after a response %s', async (_, answer) => {
    const { exchange, peer } = await start([answer, { body: bound }])
    await rejectionOf(exchange())
    expect(peer.seen).toHaveLength(1)
  })

  test('without a proof is not retried', async () => {
    const { peer, refresh } = await startTokenEndpoint({ token: challenge('n1') })
    expect(await rejectionOf(refresh())).toMatchObject({ outcome: 'rejected' })
    expect(peer.seen).toHaveLength(1)
  })

  test('is not retried after its send deadline, and the outcome is notSent', async () => {
    let now = 0
    const clock = { ...steppingClock(), monotonic: () => now }
    const { peer, refresh } = await startTokenEndpoint({
      token: () => {
        now = 2_000
        return challenge('n1')
      },
      server: { dpop: offered },
      dependencies: { clock, transport: makeTransport({}, { clock }) },
    })
    expect(await rejectionOf(refresh({ sendBefore: 1_000 }))).toMatchObject({
      code: 'HTTP_TIMEOUT',
      outcome: 'notSent',
      details: { reason: 'leaseTooShort' },
    })
    expect(peer.seen).toHaveLength(1)
  })
})

describe('a response with the wrong token_type', () => {
  test(
    'is accepted as Bearer when binding is optional',
    verifies(193, async () => {
      const { exchange } = await start([{ body: bearer }])
      expect(await exchange()).toMatchObject({ accessToken: 't', tokenType: 'Bearer', dpopKey: undefined })
    }),
  )

  test(
    'is returned to be discarded when binding is required',
    verifies(193, async () => {
      const { exchange, peer } = await start([{ body: bearer }], required)
      const details = {
        url: `${peer.origin}/token`,
        status: 200,
        document: 'token response',
        field: 'token_type',
        expected: 'DPoP',
        received: 'Bearer',
      }
      expect(await exchange()).toMatchObject({
        accessToken: 't',
        discarded: { code: 'TOKEN_RESPONSE_INVALID', details },
      })
    }),
  )

  test('is rejected when it is DPoP and no proof was sent', async () => {
    const { request } = await startTokenEndpoint({ token: { body: bound } })
    expect(await rejectionOf(request())).toMatchObject({
      code: 'TOKEN_RESPONSE_INVALID',
      outcome: 'rejected',
      details: { field: 'token_type' },
    })
  })
})
