/**
 * Sets what a constructor of `Response` cannot: `url` and `redirected`, for clones too.
 *
 * @see [Fetch Standard, Response class](https://fetch.spec.whatwg.org/#response-class)
 */
function locate(response: Response, url: string, redirected: boolean): Response {
  const clone = (): Response => locate(Response.prototype.clone.call(response), url, redirected)
  return Object.defineProperties(response, {
    url: { value: url, configurable: true },
    redirected: { value: redirected, configurable: true },
    clone: { value: clone, configurable: true },
  })
}

/** The response with the URL that sent it, without the fragment. */
export function withUrl(response: Response, url: URL): Response {
  const bare = new URL(url)
  bare.hash = ''
  return locate(response, bare.href, false)
}

/** The response as one that came after a redirect which was followed. */
export function markRedirected(response: Response): Response {
  return locate(response, response.url, true)
}
