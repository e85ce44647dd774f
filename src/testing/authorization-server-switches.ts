import * as v from 'valibot'
import { maybe } from '../schemas/credentials.ts'
import { parseOptions } from '../schemas/parse-options.ts'

/** The behaviour of a test authorization server. Every member may be changed while the server runs. */
export interface AuthorizationServerSwitches {
  /** `expires_in`; `undefined`: no `expires_in` is sent, and tokens do not expire. @defaultValue 3_600 */
  accessTokenTtlSeconds?: number | undefined
  /** Lifetime of an authorization code. @defaultValue 60 */
  codeTtlSeconds?: number | undefined
  /** Whether refresh tokens are issued. @defaultValue true */
  refreshTokens?: boolean | undefined
  /** Whether each refresh replaces the refresh token. @defaultValue true */
  rotation?: boolean | undefined
  /** Whether reuse of a code or refresh token revokes all tokens derived from it. @defaultValue true */
  reuseDetection?: boolean | undefined
  /** How long a rotated refresh token is still accepted after its first use, in milliseconds. @defaultValue 0 */
  graceMs?: number | undefined
  /** Whether clients may register (RFC 7591). @defaultValue true */
  dynamicRegistration?: boolean | undefined
  /** The `issuer` in the server's metadata. @defaultValue the server's origin */
  announcedIssuer?: string | undefined
  /** The user's decision where a browser opens the authorization URL. @defaultValue 'approve' */
  decision?: 'approve' | 'deny' | undefined
  /** The user's account: the `sub` of the ID token, which comes with the scope `openid`. @defaultValue 'user-1' */
  subject?: string | undefined
  /**
   * A quirk of the token responses. `github`: form-encoded, comma-separated scopes. `slack`: errors with status 200 and
   * `ok: false`, comma-separated scopes, and the `token_type` `user`: the test needs a row of `authorizationServers`
   * for this issuer, with `tokens: { bearerTypes: ['user'], scopeSeparator: ',' }`. `stringExpiresIn`: `expires_in` is
   * a string.
   */
  quirk?: 'github' | 'slack' | 'stringExpiresIn' | undefined
  /**
   * Whether refresh responses contain no refresh token. The old one stays valid, whatever `rotation` is. @defaultValue
   * false
   */
  omitsRefreshToken?: boolean | undefined
}

/** What a switch may be. */
export const SWITCHES = {
  accessTokenTtlSeconds: maybe(v.number()),
  codeTtlSeconds: maybe(v.number()),
  refreshTokens: maybe(v.boolean()),
  rotation: maybe(v.boolean()),
  reuseDetection: maybe(v.boolean()),
  graceMs: maybe(v.number()),
  dynamicRegistration: maybe(v.boolean()),
  announcedIssuer: maybe(v.string()),
  decision: maybe(v.picklist(['approve', 'deny'])),
  subject: maybe(v.string()),
  quirk: maybe(v.picklist(['github', 'slack', 'stringExpiresIn'])),
  omitsRefreshToken: maybe(v.boolean()),
} satisfies Record<keyof AuthorizationServerSwitches, v.GenericSchema>

const SwitchesSchema = v.strictObject(SWITCHES)

/** Switches that accept no other name or value, also later. */
export function checkedSwitches(switches: AuthorizationServerSwitches): AuthorizationServerSwitches {
  return new Proxy(switches, {
    set(target, name, value: unknown) {
      parseOptions(SwitchesSchema, { [name]: value }, 'switches')
      return Reflect.set(target, name, value)
    },
  })
}
