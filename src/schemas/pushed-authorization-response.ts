import * as v from 'valibot'
import { Text } from './wire.ts'

/**
 * What a pushed authorization request answers. How long its URI lives need not be known: it is used at once.
 *
 * @see [RFC 9126 §2.2](https://www.rfc-editor.org/rfc/rfc9126.html#section-2.2)
 */
export const PushedAuthorizationResponseSchema = v.object({ request_uri: Text })
