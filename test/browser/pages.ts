import { createServer } from 'node:http'
import { toNodeHandler } from '../../src/adapters/node.ts'
import { FAILURE_CODES } from '../../src/errors/failure.ts'
import { REASONS } from '../../src/errors/reasons.ts'
import { type CallbackOutcome, callbackPage } from '../../src/web/callback-page.ts'
import { listen } from '../support/servers/control.ts'

const RETURN_TO = 'https://app.example/settings'
/** As long as the error code of a server may be, and without a place to break the line. */
const LONG_ERROR = 'a'.repeat(64)

/** Every outcome that has a page: each status, and each failure with each of its reasons. */
function* outcomes(): Generator<CallbackOutcome> {
  for (const status of [
    'authorized',
    'alreadyAuthorized',
    'denied',
    'expired',
    'superseded',
    'unknown',
    'wrongMethod',
  ] as const)
    yield { status }
  yield { status: 'denied', failure: { code: 'AUTHORIZATION_DENIED', details: { error: LONG_ERROR } } }
  for (const code of FAILURE_CODES) {
    const reasons = Object.keys(REASONS[code] ?? {})
    for (const reason of [undefined, ...reasons])
      yield { status: 'failed', failure: { code, details: { reason, error: LONG_ERROR } }, returnTo: RETURN_TO }
    yield { status: 'failed', failure: { code }, retryable: true, returnTo: RETURN_TO }
  }
}

export interface Pages {
  /** The URL of each page, by its title. */
  readonly urls: ReadonlyMap<string, string>
  close(): Promise<void>
}

/** Serves each of the callback pages once, with all that it may contain. */
export async function servePages(): Promise<Pages> {
  const byTitle = new Map<string, CallbackOutcome>()
  for (const outcome of outcomes()) {
    const title = /<h1>(.*)<\/h1>/.exec(await callbackPage(outcome).text())?.[1] ?? ''
    byTitle.set(title, outcome)
  }
  const pages = [...byTitle]
  const respond = (request: Request): Promise<Response> => {
    const [, outcome] = pages[Number(new URL(request.url).pathname.slice(1))] ?? []
    return Promise.resolve(outcome === undefined ? new Response(null, { status: 404 }) : callbackPage(outcome))
  }
  const { url, close } = await listen(createServer(toNodeHandler(respond)))
  return { urls: new Map(pages.map(([title], index) => [title, `${url}/${index}`])), close }
}
