import { expect, test } from 'vitest'
import { plainError } from '../../../src/stores/redis/plain-error.ts'
import { StoreRejectedError } from '../../../src/stores/snapshot-store.ts'

const replyError = (message: string): Error => Object.assign(new Error(message), { name: 'ReplyError' })

test.each([
  ["READONLY You can't write against a read only replica.", 'READONLY', 'readOnly'],
  ['MISCONF Redis is configured to save RDB snapshots, but it is currently unable to persist.', 'MISCONF', 'readOnly'],
  ['NOREPLICAS Not enough good replicas to write.', 'NOREPLICAS', 'readOnly'],
  ["OOM command not allowed when used memory > 'maxmemory'. script: 1f, on @user_script:1.", 'OOM', 'full'],
  ["NOPERM User default has no permissions to run the 'hset' command", 'NOPERM', 'notPermitted'],
  ['NOAUTH Authentication required.', 'NOAUTH', 'notAuthenticated'],
  ['WRONGPASS invalid username-password pair or user is disabled.', 'WRONGPASS', 'notAuthenticated'],
])(
  'the error of a store to which Redis answers %j repeats its code alone, and has a reason',
  (message, code, reason) => {
    const error = plainError('save', Object.assign(replyError(message), { command: { args: ['secret'] } }))
    expect(error).toBeInstanceOf(StoreRejectedError)
    expect(Object.entries(error)).toEqual([
      ['name', 'StoreRejectedError'],
      ['reason', reason],
    ])
    expect(error.message).toBe(`redis save failed: ${code}`)
  },
)

test('the error of a store to which Redis gives another answer, or none, has no reason', () => {
  expect(plainError('load', replyError('WRONGTYPE Operation against a key'))).toEqual(
    new Error('redis load failed: WRONGTYPE'),
  )
  expect(plainError('load', replyError('unexpected OOM text'))).toEqual(new Error('redis load failed: ReplyError'))
  expect(plainError('load', new Error('no response within 5 ms'))).not.toHaveProperty('reason')
})
