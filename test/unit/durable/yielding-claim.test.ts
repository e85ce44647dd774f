import { describe, expect, test, vi } from 'vitest'
import { revocationOf } from '../../../machines/connection/selectors.ts'
import { SIGNED_IN, TOKENS } from './records.ts'
import { createWorld, type TestProcess } from './world.ts'

const imported = {
  type: 'credentials.imported',
  generation: 2,
  clientInformation: undefined,
  issuer: undefined,
} as const

/** A process whose revocation has been sent; its server answers when it is told to. */
async function revoking() {
  const world = createWorld()
  await world.seed(SIGNED_IN)
  const process: TestProcess = world.process()
  const response = Promise.withResolvers<{ revoked: 'yes' }>()
  process.answers.revokeTokens = () => response.promise
  const run = process.run((view) =>
    view && revocationOf(view.context, 'd-1') === undefined ? { type: 'disconnect.requested', id: 'd-1' } : undefined,
  )
  await vi.waitFor(() => expect(world.requests).toEqual(['revokeTokens']))
  return { world, process, run, respond: () => response.resolve({ revoked: 'yes' }) }
}

describe('the claim of a revocation', () => {
  test('another run of the same process does not wait for it, and its decision is stored nevertheless', async () => {
    const { world, process, run, respond } = await revoking()
    const other = process.run({ ...imported, tokens: TOKENS })
    await vi.waitFor(async () => expect((await world.stored())?.context.generation).toBe(3))
    const { accepted, view } = await other
    expect([accepted, view?.context.revocations?.[0]?.outcome]).toEqual([true, undefined])
    respond()
    await run
    const { revocations, tokens, generation } = (await world.stored())?.context ?? {}
    expect([revocations?.[0]?.outcome, tokens?.accessToken, generation]).toEqual(['yes', TOKENS.accessToken, 3])
    expect(world.requests).toEqual(['revokeTokens'])
  })

  test('close() waits for it, although other runs do not', async () => {
    const { world, process, run, respond } = await revoking()
    await process.run({ ...imported, tokens: TOKENS })
    let isClosed = false
    const closing = process.runner.close().then(() => (isClosed = true))
    await vi.waitFor(async () => expect(await process.run(imported as never).catch(() => 'closed')).toBe('closed'))
    expect(isClosed).toBe(false)
    respond()
    await Promise.all([run, closing])
    expect((await world.stored())?.context.revocations?.[0]?.outcome).toBe('yes')
  })
})
