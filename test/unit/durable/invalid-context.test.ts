import { describe, expect, test } from 'vitest'
import { processWarnings } from '../../support/process-warnings.ts'
import { REFRESH, SIGNED_IN, TOKENS } from './records.ts'
import { createWorld, issued, KEY, UNTIL_ABANDONED_MS } from './world.ts'

const invalid = (field: string) => ({
  failure: { code: 'SNAPSHOT_INCOMPATIBLE', details: { reason: 'invalidContext', field } },
  nextAction: 'none',
})

/** The warning of a result that is lost for this reason. */
const lost = (reason: string) => ({
  name: 'AuthchartWarning',
  code: 'AUTHCHART_RESULT_NOT_STORED',
  message: `the result of a request could not be stored, and is lost: ${reason} (record ${KEY})`,
})

describe('a record that could not be read', () => {
  test('an event whose record would be invalid is rejected, and the record stays as it was', async () => {
    const world = createWorld()
    const version = await world.seed(SIGNED_IN)
    const process = world.process()
    const warnings = await processWarnings(async () => {
      const run = process.run({
        type: 'credentials.imported',
        generation: 1,
        tokens: { ...TOKENS, subject: 7 as never },
        clientInformation: undefined,
        issuer: undefined,
      })
      await expect(run).rejects.toMatchObject(invalid('context.tokens.subject'))
    })
    expect(warnings).toEqual([])
    expect(process.store.saves).toEqual([])
    expect((await world.store.load(KEY))?.version).toBe(version)
  })

  test('a result whose record would be invalid leaves its claim, and its request is repeated once after the lease', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    const process = world.process()
    process.answers.refreshTokens = async () => ({ ...issued(1), refreshToken: { secret: 'fake-secret' } as never })
    let error: unknown
    const warnings = await processWarnings(async () => {
      error = await process.run(REFRESH).catch((rejection: unknown) => rejection)
    })
    expect(error).toMatchObject(invalid('context.tokens.refreshToken'))
    const why =
      'the new record would not be readable and was not stored: this is a fault of authchart, please report it'
    expect(warnings).toEqual([lost(`${why} (field "context.tokens.refreshToken", reason "invalidContext")`)])
    expect(JSON.stringify([error, warnings]) + String(error)).not.toContain('fake-secret')
    const stored = await world.stored()
    expect(stored?.value).toEqual({ refreshing: 'claimed' })
    expect(stored?.context).toMatchObject({ generation: 1, tokens: TOKENS, claim: { retries: 0 } })

    world.time.advance(UNTIL_ABANDONED_MS)
    const { view } = await world.process().run(() => undefined)
    expect(view?.context).toMatchObject({ generation: 2, tokens: { accessToken: 'access-new-1' } })
    expect(world.requests).toEqual(['refreshTokens', 'refreshTokens'])
  })

  test('a late result for a record that this release cannot read is lost with one warning, and its caller gets the error', async () => {
    const world = createWorld()
    await world.seed(SIGNED_IN)
    const process = world.process()
    process.store.arm({ name: 'result', operation: 'save', when: 'before', action: 'pause', skip: 1 })
    let error: unknown
    const warnings = await processWarnings(async () => {
      const run = process.run(REFRESH).catch((rejection: unknown) => (error = rejection))
      await process.reached('result')
      const { version } = (await world.store.load(KEY)) ?? { version: '' }
      await world.store.save(KEY, 'no record', { expectedVersion: version, writeId: 'another' })
      process.store.resume('result')
      await run
    })
    expect(error).toMatchObject({ code: 'SNAPSHOT_UNREADABLE' })
    expect(warnings).toEqual([lost('the stored record cannot be read (reason "notJson")')])
  })
})
