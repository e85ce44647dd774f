/** What a browser keeps of a cookie (RFC 6265 §5.3). Cookies do not tell ports apart (§8.5). */
export interface Cookie {
  name: string
  value: string
  host: string
  path: string
}

/** Takes over what `Set-Cookie` headers say, deletions included. */
export function keepCookies(cookies: Cookie[], url: URL, headers: readonly string[]): void {
  for (const header of headers) {
    const [pair = '', ...attributes] = header.split(';').map((part) => part.trim())
    const [name = '', ...rest] = pair.split('=')
    const attribute = (wanted: string): string | undefined =>
      attributes.find((text) => text.toLowerCase().startsWith(`${wanted}=`))?.slice(wanted.length + 1)
    const path = attribute('path') ?? '/'
    const index = cookies.findIndex((kept) => kept.name === name && kept.host === url.hostname && kept.path === path)
    if (index >= 0) cookies.splice(index, 1)
    const expires = attribute('expires')
    const over = attribute('max-age') === '0' || (expires !== undefined && Date.parse(expires) <= Date.now())
    if (!over) cookies.push({ name, value: rest.join('='), host: url.hostname, path })
  }
}

/** The `Cookie` header for a request, or an empty string. */
export function cookieHeader(cookies: readonly Cookie[], url: URL): string {
  return cookies
    .filter(({ host, path }) => host === url.hostname && pathMatches(url.pathname, path))
    .map(({ name, value }) => `${name}=${value}`)
    .join('; ')
}

/** RFC 6265 §5.1.4. */
function pathMatches(requested: string, path: string): boolean {
  return requested === path || requested.startsWith(path.endsWith('/') ? path : `${path}/`)
}
