import { describe, expect, inject, test } from 'vitest'
import { attemptsAgain } from '../support/processes/release.ts'
import { BRISK, pause, sameToken, soon, STORES, useStage } from '../support/processes/stage.ts'

const stage = useStage()
const releases = inject('releases').filter((release) => !attemptsAgain(release))

describe.each(STORES)('on %s', (store) => {
  describe.each(releases)('$name, which sends a revocation once,', ({ url }) => {
    test('is killed before it sends it: the current sources end its claim, and the user can sign in again', async () => {
      const { of, start, signIn } = stage.scene(store, BRISK)
      const [a, b] = await Promise.all([start({}, url), start()])
      await signIn()
      await a.arm(pause('claimed', 'after'))
      void a.disconnect(of)
      await a.waitFor('claimed')
      await a.kill('SIGKILL')

      await expect(b.accessToken(of)).rejects.toMatchObject({ code: 'AUTHORIZATION_REQUIRED' })
      await soon(async () => {
        await b.wake(of)
        expect(await b.status(of)).toMatchObject({ state: 'disconnected', authorized: false, nextWakeAt: undefined })
      })
      await signIn(b)
      expect((await b.status(of)).state).toBe('authorized')
    })

    test('ends the claim of a revocation of the current sources, which attempt it then', async () => {
      const { of, start, signIn } = stage.scene(store, BRISK)
      const [a, b, c] = await Promise.all([start({}, url), start(), start()])
      await signIn()
      await b.arm(pause('claimed', 'after'))
      void b.disconnect(of)
      await b.waitFor('claimed')
      await b.kill('SIGKILL')
      await soon(async () => {
        // It repeats a request that it cannot build, once, and forgets the tokens then.
        await a.wake(of).catch(() => {})
        expect((await a.status(of)).state).toBe('disconnected')
      })
      await c.wake(of)
      expect((await c.status(of)).nextWakeAt).toBeUndefined()
      expect((await stage.as.ledger()).counts.revocation).toBe(2)
    })

    test('signs in beside a pending revocation, which the current sources finish', async () => {
      const { of, start, signIn } = stage.scene(store)
      const [a, b] = await Promise.all([start({}, url), start()])
      await signIn(b)
      await stage.as.fault({ endpoint: 'revocation', when: 'before', answer: 503 })
      expect((await b.disconnect(of)).revoked).toBe('pending')
      const rejectedToken = await signIn(a)
      const token = await a.accessToken(of, { rejectedToken })
      await soon(async () => {
        await b.wake(of)
        // The refresh token twice, and the access token.
        expect((await stage.as.ledger()).counts.revocation).toBe(3)
      })
      expect(await b.accessToken(of)).toEqual(sameToken(token))
    })
  })
})
