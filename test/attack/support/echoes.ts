import type { Answer, Seen } from '../../unit/connection/peer.ts'

type Echo = (sent: string) => Answer

/** Where a server redirects to with everything that it was sent: what it says to itself there is not for us to hide. */
export const ECHOED_PATH = '/echoed'

/** Ways in which a server repeats everything that it was sent, or loses the connection. */
export const ECHOES: Readonly<Record<string, Echo>> = {
  'invalid_grant with a description': (sent) => ({
    status: 400,
    body: { error: 'invalid_grant', error_description: sent, error_uri: sent },
  }),
  'invalid_client with a description': (sent) => ({
    status: 401,
    headers: { 'www-authenticate': `Basic realm="${sent}"` },
    body: { error: 'invalid_client', error_description: sent },
  }),
  'the error itself': (sent) => ({ status: 400, body: { error: sent } }),
  'a member of an error': (sent) => ({ status: 400, body: { [sent]: sent } }),
  'a challenge': (sent) => ({
    status: 401,
    headers: { 'www-authenticate': `Bearer error="${sent}", error_description="${sent}"` },
    body: sent,
  }),
  'a 403': (sent) => ({ status: 403, headers: { 'www-authenticate': `Bearer realm="${sent}"` }, body: sent }),
  'a 404': (sent) => ({ status: 404, body: sent }),
  'a 429': (sent) => ({ status: 429, headers: { 'retry-after': '1', 'x-limit': sent }, body: sent }),
  'a 500': (sent) => ({ status: 500, body: sent }),
  'a 503': (sent) => ({ status: 503, body: { error: sent } }),
  'a redirect': (sent) => ({
    status: 302,
    headers: { location: `${ECHOED_PATH}?${encodeURIComponent(sent)}` },
    body: sent,
  }),
  'a page': (sent) => ({ headers: { 'content-type': 'text/html' }, body: `<p>${sent}</p>` }),
  'members of wrong types': (sent) => ({
    body: {
      access_token: { sent },
      client_id: [sent],
      request_uri: { sent },
      issuer: sent,
      resource: sent,
      expires_in: sent,
    },
  }),
  'an unknown token type': (sent) => ({
    body: { access_token: sent.slice(0, 200), token_type: sent, client_id: sent, request_uri: 1, error: sent },
  }),
  'a reason phrase': (sent) => ({ raw: `HTTP/1.1 400 ${sent}\r\ncontent-length: 0\r\nconnection: close\r\n\r\n` }),
  'a header that is none': (sent) => ({ raw: `HTTP/1.1 200 OK\r\n${sent}\r\n\r\n` }),
  'no response at all': (sent) => ({ raw: sent }),
  'a body that ends early': (sent) => ({ raw: `HTTP/1.1 200 OK\r\ncontent-length: 99999\r\n\r\n${sent}` }),
  'a lost connection': () => ({ hangUp: true }),
}

/** Everything of a request, in one line of ASCII. */
export function everythingOf({ path, headers, body }: Seen): string {
  return [path, body, ...Object.values(headers)].join(' ').replaceAll(/[^\x20-\x7E]|"/g, ' ')
}
