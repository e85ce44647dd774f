import { cookieHeader, keepCookies, type Cookie } from './cookie-jar.ts'
import { readForms, type Form } from './html-forms.ts'

const MAX_REDIRECTS = 20

export interface SignInOptions {
  login: string
  /** @defaultValue 'approve' */
  decision?: 'approve' | 'deny'
}

/** The consent page, open and waiting. */
export interface ConsentPage {
  /** Approves, and answers the callback URL that the browser would open next. It is not opened. */
  approve(): Promise<string>
  deny(): Promise<string>
}

interface Page {
  url: URL
  status: number
  html: string
}

/**
 * A browser without a window: keeps cookies, follows redirects, fills in the real forms over HTTP. It stops where the
 * authorization server sends it back to the client, and says where that is.
 */
export class UserAgent {
  readonly #cookies: Cookie[] = []
  /** Where the first authorization request says that it will end: a server may send its user on to another one. */
  #redirectUri: string | undefined

  /** From an authorization URL, or a page of the client that redirects to one, to the callback URL. */
  async signIn(url: string, { login, decision = 'approve' }: SignInOptions): Promise<string> {
    const consent = await this.openConsent(url, { login })
    return typeof consent === 'string' ? consent : decision === 'approve' ? consent.approve() : consent.deny()
  }

  /** Signs in and stops at the consent page; answers the callback URL at once where no consent is asked for. */
  async openConsent(url: string, { login }: { login: string }): Promise<ConsentPage | string> {
    this.#redirectUri = undefined
    let page = await this.#visit(new URL(url))
    if (typeof page === 'string') return page
    const loginForm = readForms(page.html)[0]
    if (loginForm?.fields['login'] !== undefined) {
      page = await this.#submit(page, loginForm, { ...loginForm.fields, login, password: 'any' })
      if (typeof page === 'string') return page
    }
    const consent = page
    const form = readForms(consent.html)[0]
    const button = form?.buttons.find(({ value }) => value === 'approve')
    if (form === undefined || button === undefined) {
      throw new Error(`expected the consent page and found ${consent.status} ${consent.html.slice(0, 200)}`)
    }
    const decide = async (decision: string): Promise<string> => {
      const end = await this.#submit(consent, form, { ...form.fields, [button.name]: decision })
      if (typeof end === 'string') return end
      throw new Error(`expected the callback and found ${end.status} ${end.html.slice(0, 200)}`)
    }
    return { approve: () => decide('approve'), deny: () => decide('deny') }
  }

  /** Opens a URL with the cookies of this browser, as it would the callback URL, and answers what came back. */
  open(url: string, method = 'GET'): Promise<Response> {
    return this.#request(new URL(url), { method })
  }

  async #visit(start: URL): Promise<Page | string> {
    return this.#follow(start, await this.#request(start))
  }

  async #submit(page: Page, form: Form, fields: Record<string, string>): Promise<Page | string> {
    const url = new URL(form.action, page.url)
    const body = new URLSearchParams(fields)
    return this.#follow(url, await this.#request(url, { method: form.method, body }))
  }

  async #follow(from: URL, first: Response): Promise<Page | string> {
    let url = from
    let response = first
    for (let redirects = 0; redirects < MAX_REDIRECTS; redirects += 1) {
      const location = response.headers.get('location')
      if (location === null || response.status < 300 || response.status > 399) {
        return { url, status: response.status, html: await response.text() }
      }
      url = new URL(location, url)
      this.#redirectUri ??= url.searchParams.get('redirect_uri') ?? undefined
      if (this.#redirectUri !== undefined && isAt(url, this.#redirectUri)) return url.href
      response = await this.#request(url)
    }
    throw new Error(`more than ${MAX_REDIRECTS} redirects`)
  }

  async #request(url: URL, init: { method?: string; body?: URLSearchParams } = {}): Promise<Response> {
    this.#redirectUri ??= url.searchParams.get('redirect_uri') ?? undefined
    const cookie = cookieHeader(this.#cookies, url)
    const response = await fetch(url, {
      ...init,
      headers: { accept: 'text/html', ...(cookie === '' ? {} : { cookie }) },
      redirect: 'manual',
    })
    keepCookies(this.#cookies, url, response.headers.getSetCookie())
    return response
  }
}

function isAt(url: URL, redirectUri: string): boolean {
  const end = new URL(redirectUri)
  return url.origin === end.origin && url.pathname === end.pathname
}
