import { describe, expect, test } from 'vitest'
import { AuthorizationError, isAuthorizationError } from '../../../src/errors/authorization-error.ts'
import { failure } from '../../../src/errors/failure.ts'
import { PortError, portError } from '../../../src/errors/port-error.ts'
import { invalidArgument } from '../../../src/schemas/parse-options.ts'

const reason = failure('HTTP_TIMEOUT', { host: 'as.example.com' })

describe('an AuthorizationError', () => {
  test('an AuthorizationError has the code, failure, message, retryable and nextAction of its failure', () => {
    const error = new AuthorizationError(reason)
    expect(error).toBeInstanceOf(Error)
    expect(error).toMatchObject({
      name: 'AuthorizationError',
      code: 'HTTP_TIMEOUT',
      failure: reason,
      retryable: true,
      nextAction: 'retry',
    })
    expect(error.message).toBe('the server did not answer in time (host "as.example.com")')
    expect(error.challenge).toBeUndefined()
    expect('cause' in error).toBe(false)
  })

  test('an AuthorizationError has the challenge and cause of its options', () => {
    const cause = new Error('why')
    const error = new AuthorizationError(reason, { challenge: 'Bearer', cause })
    expect([error.challenge, error.cause]).toEqual(['Bearer', cause])
  })

  test('an AuthorizationError as JSON contains neither cause nor challenge', () => {
    const error = new AuthorizationError(reason, { challenge: 'Bearer secret', cause: new Error('secret') })
    expect(JSON.parse(JSON.stringify(error))).toEqual({
      name: 'AuthorizationError',
      code: 'HTTP_TIMEOUT',
      message: 'the server did not answer in time (host "as.example.com")',
      retryable: true,
      nextAction: 'retry',
      failure: reason,
    })
  })

  test('isAuthorizationError recognizes errors of another copy of the package by their brand', () => {
    const brand = Symbol.for('authchart.AuthorizationError')
    const copy = Object.assign(new Error('of another copy'), { [brand]: true })
    const values = [new AuthorizationError(reason), copy, new Error('another'), { [brand]: true }, undefined, null]
    expect(values.map(isAuthorizationError)).toEqual([true, true, false, false, false, false])
  })
})

test('a PortError has the failure and outcome as plain data', () => {
  const error = portError('HTTP_TIMEOUT', 'unknown', { host: 'as.example.com', status: undefined })
  expect(error).toBeInstanceOf(PortError)
  expect({ name: error.name, message: error.message, failure: error.failure, outcome: error.outcome }).toEqual({
    name: 'PortError',
    message: 'the server did not answer in time (host "as.example.com")',
    failure: reason,
    outcome: 'unknown',
  })
  expect(portError('RATE_LIMITED', 'rejected').failure).toStrictEqual({ code: 'RATE_LIMITED' })
})

test("invalidArgument returns a TypeError with Node's error code", () => {
  const error = invalidArgument('policy.leaseMs', 'must be positive')
  expect(error).toBeInstanceOf(TypeError)
  expect([error.message, error.code]).toEqual(['policy.leaseMs must be positive', 'ERR_INVALID_ARG_VALUE'])
  expect(invalidArgument('x', 'must be a string', 'ERR_INVALID_ARG_TYPE').code).toBe('ERR_INVALID_ARG_TYPE')
})
