import * as v from 'valibot'
import { MAX_NAME_LENGTH, MAX_SECRET_LENGTH, MAX_TOKEN_LENGTH } from './limits.ts'
import { atMost, stored, Text, withoutControls } from './option-values.ts'
import { BoundedScope, scopesOf, WellFormed } from './wire.ts'

// What a host knows of credentials that a server issued, with the bounds of what servers send.

export const ClientSecret = stored(MAX_SECRET_LENGTH)

/** The name of an authentication method. */
export const Method = stored(MAX_NAME_LENGTH)

/** The scope of tokens, as servers write it: some separate by commas. */
export const GrantedScope = v.pipe(
  v.string(),
  withoutControls,
  v.transform((text) => scopesOf(text).join(' ')),
  BoundedScope,
  WellFormed,
)

/** A value for a request header. Checked here, since the platform's error for an invalid header quotes its value. */
const headerText = (max: number) =>
  v.pipe(Text, v.regex(/^[\x21-\x7E]+$/, 'must be visible ASCII characters'), atMost(max))

export const AccessTokenText = headerText(MAX_TOKEN_LENGTH)
export const RefreshTokenText = stored(MAX_TOKEN_LENGTH)

export const TokenType = v.pipe(
  headerText(MAX_NAME_LENGTH),
  v.check((type) => !/^dpop$/i.test(type), 'must not be DPoP: such a token cannot be used without its key'),
  v.check((type) => /^bearer$/i.test(type), 'must be Bearer'),
)
