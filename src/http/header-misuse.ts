import { invalidArgument } from '../schemas/parse-options.ts'
import { codeOf } from './translate-error.ts'

const REJECTED = /^UND_ERR_(?:NOT_SUPPORTED|INVALID_ARG|REQ_CONTENT_LENGTH_MISMATCH)$/

/**
 * The misuse of a header in a caller's request: undici rejects those that it sets itself, such as `transfer-encoding`,
 * and a `content-length` that is not that of the body.
 *
 * @returns `undefined` for any other error.
 */
export function headerMisuse(error: unknown): TypeError | undefined {
  if (!(error instanceof Error) || !REJECTED.test(codeOf(error))) return undefined
  // The global `fetch` rejects with an error whose cause is that of undici.
  const { message } = error.cause instanceof Error ? error.cause : error
  const [, name] = /([\w-]+) header\b/.exec(message) ?? []
  return name === undefined
    ? undefined
    : invalidArgument('fetch()', `cannot send the header ${name} as it is in this request: leave it out, or correct it`)
}
