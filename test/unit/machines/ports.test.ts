import { type AnyActorLogic, createActor, toPromise } from 'xstate'
import { describe, expect, test } from 'vitest'
import { connectionMachine } from '../../../machines/connection.ts'
import { connectionPorts, registrationPorts } from '../../../machines/ports.ts'
import { identity, START } from '../../support/charts/facts.ts'

describe('a port that was not provided', () => {
  test.each(Object.entries({ ...connectionPorts, ...registrationPorts } as Record<string, AnyActorLogic>))(
    'the port %s that was not provided fails with an error that names it',
    async (name, logic) => {
      const actor = createActor(logic, { input: {} })
      // An actor without an observer reports its error to the process as well.
      actor.subscribe({ error: () => {} })
      actor.start()
      await expect(toPromise(actor)).rejects.toThrow(new Error(`the actor port ${name} was not provided`))
    },
  )

  test('a port that was not provided makes the connection fail, but does not end its actor', async () => {
    const actor = createActor(connectionMachine, { input: { identity, at: START } })
    actor.start()
    const settled = new Promise<void>((resolve) => {
      actor.subscribe(({ value }) => {
        if (JSON.stringify(value) === '{"resting":"failed"}') resolve()
      })
    })
    actor.send({
      type: 'authorization.requested',
      request: { attemptTtlMs: 1 },
      at: START,
      claimId: 'claim-1',
      leaseMs: 1,
    })
    await settled
    expect(actor.getSnapshot().context.failure).toEqual({
      code: 'TOKEN_OUTCOME_UNKNOWN',
      details: { reason: 'unexpected' },
    })
    actor.stop()
  })
})
