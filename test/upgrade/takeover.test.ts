import { describe, expect, inject, test } from 'vitest'
import { directionsOf } from '../support/processes/release.ts'
import { BRISK, pause, STORES, useStage } from '../support/processes/stage.ts'

const stage = useStage()

describe.each(STORES)('a rolling upgrade on %s', (store) => {
  describe.each(directionsOf(inject('releases')))('from $first to $second', ({ old, anew }) => {
    test('a claim of one that was killed is taken over by the other once its lease is over', async () => {
      const { of, start, signIn, callback } = stage.scene(store, BRISK)
      const other = { ...of, user: 'u2' }
      const [refreshing, exchanging, b] = await Promise.all([start({}, old), start({}, old), start({}, anew)])
      const rejectedToken = await signIn()
      const url = await callback(undefined, {}, other)
      await Promise.all([refreshing.arm(pause('claimed', 'after')), exchanging.arm(pause('claimed', 'after'))])
      void refreshing.accessToken(of, { rejectedToken })
      void exchanging.completeCallback(url)
      await Promise.all([refreshing.waitFor('claimed'), exchanging.waitFor('claimed')])
      await Promise.all([refreshing.kill('SIGKILL'), exchanging.kill('SIGKILL')])

      const [renewed, token] = await Promise.all([b.accessToken(of, { rejectedToken }), b.accessToken(other)])
      expect(renewed.value).not.toBe(rejectedToken)
      expect(token.type).toBe('Bearer')
      expect((await stage.tokenRequests()).toSorted()).toEqual([
        'authorization_code 200',
        'authorization_code 200',
        'refresh_token 200',
      ])
      expect((await stage.way(b, of)).slice(-2)).toEqual([
        'refreshing: claim.expired',
        'authorized: refreshTokens.done',
      ])
    })
  })
})
