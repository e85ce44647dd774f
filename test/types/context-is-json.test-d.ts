import { describe, expectTypeOf, test } from 'vitest'
import type { ContextFrom } from 'xstate'
import type { connectionMachine } from '../../machines/connection.ts'
import type { ConnectionCommand } from '../../machines/connection/events.ts'
import type { registrationMachine } from '../../machines/registration.ts'
import type { RegistrationCommand } from '../../machines/registration/events.ts'
import type { ConnectionContext } from '../../src/schemas/connection-context.ts'
import type { RegistrationContext } from '../../src/schemas/registration-context.ts'

/** What JSON keeps of a type as it is; whatever else there is becomes `never`. A member that is `undefined` is left out. */
type Json<T> = T extends string | number | boolean | null | undefined
  ? T
  : T extends Date | Error | ((...args: never[]) => unknown) | Map<unknown, unknown> | Set<unknown> | Uint8Array
    ? never
    : T extends object
      ? { [Key in keyof T]: Json<T[Key]> }
      : never

const isJson = <T>(_same: Json<T> extends T ? (T extends Json<T> ? true : false) : false): void => {}

describe('context types', () => {
  test('the connection context is JSON', () => {
    expectTypeOf<Json<ConnectionContext>>().toEqualTypeOf<ConnectionContext>()
    isJson<ConnectionContext>(true)
  })

  test('the registration context is JSON', () => {
    expectTypeOf<Json<RegistrationContext>>().toEqualTypeOf<RegistrationContext>()
    isJson<RegistrationContext>(true)
  })

  test('the contexts of the schemas are those of the charts', () => {
    expectTypeOf<ContextFrom<typeof connectionMachine>>().toEqualTypeOf<ConnectionContext>()
    expectTypeOf<ContextFrom<typeof registrationMachine>>().toEqualTypeOf<RegistrationContext>()
  })

  test('isJson rejects every member type that JSON changes', () => {
    isJson<{ at: number; failure?: { code: string } | undefined; list: { a: string }[] }>(true)
    // @ts-expect-error an Error becomes {}
    isJson<Omit<ConnectionContext, 'failure'> & { failure: Error }>(true)
    // @ts-expect-error a Date becomes a string
    isJson<Omit<ConnectionContext, 'at'> & { at: Date }>(true)
    // @ts-expect-error a Map becomes {}
    isJson<{ servers: Map<string, string> }>(true)
    // @ts-expect-error a function is left out
    isJson<{ now: () => number }>(true)
    // @ts-expect-error a bigint throws
    isJson<{ at: bigint }>(true)
    // @ts-expect-error bytes become an object
    isJson<{ key: Uint8Array }>(true)
    // @ts-expect-error nobody knows what it is
    isJson<{ cause: unknown }>(true)
  })
})

describe('command types', () => {
  test('no command type starts with xstate.', () => {
    expectTypeOf<
      Extract<ConnectionCommand['type'] | RegistrationCommand['type'], `xstate.${string}`>
    >().toEqualTypeOf<never>()
  })

  test('commands are JSON', () => {
    isJson<ConnectionCommand>(true)
    isJson<RegistrationCommand>(true)
  })
})
