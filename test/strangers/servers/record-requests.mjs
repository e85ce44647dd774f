import { subscribe } from 'node:diagnostics_channel'

/**
 * What the OAuth endpoints of this process have answered, in order: `{ 'POST /token': 'token' }` → `['token 200']`.
 * Node itself reports it, so that no server has to be changed.
 */
export function recordRequests(endpoints) {
  const requests = []
  subscribe('http.server.response.finish', ({ request, response }) => {
    const { pathname } = new URL(request.url, 'http://localhost')
    const name = endpoints[`${request.method} ${pathname}`]
    if (name !== undefined) requests.push(`${name} ${response.statusCode}`)
  })
  return requests
}
