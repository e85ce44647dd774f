import { describe, expect, test } from 'vitest'
import { REFRESH, SIGNED_IN, TOKENS } from './records.ts'
import { createWorld, issued, KEY, UNTIL_ABANDONED_MS } from './world.ts'

const invalid = (field: string) => ({
  failure: { code: 'SNAPSHOT_INCOMPATIBLE', details: { reason: 'invalidContext', field } },
  nextAction: 'none',
})

describe('a record that could not be read', () => {
  test('an event whose record would be invalid is rejected, and the record stays as it was', async () => {
    const world = createWorld()
    const version = await world.seed(SIGNED_IN)
    const process = world.process()
    const run = process.run({
      type: 'credentials.imported',
      generation: 1,
      tokens: { ...TOKENS, subject: 7 as never },
      clientInformation: undefined,
      issuer: undefined,
    })
    await expect(run).rejects.toMatchObject(invalid('context.tokens.subject'))
    expect(process.store.saves).toEqual([])
    expect((await world.store.load(KEY))?.version).toBe(version)
  })

  test('a result whose record would be invalid leaves its claim, and its request is repeated once after the lease', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    const process = world.process()
    process.answers.refreshTokens = async () => ({ ...issued(1), refreshToken: { secret: 'fake-secret' } as never })
    const error: unknown = await process.run(REFRESH).catch((rejection: unknown) => rejection)
    expect(error).toMatchObject(invalid('context.tokens.refreshToken'))
    expect(JSON.stringify(error) + String(error)).not.toContain('fake-secret')
    const stored = await world.stored()
    expect(stored?.value).toEqual({ refreshing: 'claimed' })
    expect(stored?.context).toMatchObject({ generation: 1, tokens: TOKENS, claim: { retries: 0 } })

    world.time.advance(UNTIL_ABANDONED_MS)
    const { view } = await world.process().run(() => undefined)
    expect(view?.context).toMatchObject({ generation: 2, tokens: { accessToken: 'access-new-1' } })
    expect(world.requests).toEqual(['refreshTokens', 'refreshTokens'])
  })
})
