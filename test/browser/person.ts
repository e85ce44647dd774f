import type { Browser, BrowserContext, Locator, Page } from 'playwright-core'

/** A person who is logged in at the host, in a browser whose cookies are shared with no other. */
export interface Person {
  readonly context: BrowserContext
  /** Opens a tab at the start of a sign-in, and answers the authorization URL that the browser was sent to. */
  start(): Promise<{ tab: Page; authorizationUrl: string }>
  /** Opens a URL in a new tab. */
  open(url: string): Promise<Page>
  /** The names of the binding cookies that the browser has. */
  bindingCookies(): Promise<string[]>
}

/** Opens a browser of their own for a user of the host. */
export async function login(browser: Browser, origin: string, user: string): Promise<Person> {
  // The proxy's certificate is signed by nobody.
  const context = await browser.newContext({ ignoreHTTPSErrors: true })
  const page = await context.newPage()
  await page.goto(`${origin}/whoami`)
  const status = await page.evaluate(
    async (path) => (await fetch(path, { method: 'POST' })).status,
    `/login?user=${user}`,
  )
  if (status !== 204) throw new Error(`the host answered ${status} to the login`)
  await page.close()
  const open = async (url: string): Promise<Page> => {
    const tab = await context.newPage()
    await tab.goto(url)
    return tab
  }
  return {
    context,
    open,
    async start() {
      const tab = await context.newPage()
      const requested: string[] = []
      tab.on('request', (request) => requested.push(request.url()))
      await tab.goto(`${origin}/whoami`)
      const authorizationUrl = requested.find((url) => new URL(url).pathname === '/authorize')
      if (authorizationUrl === undefined)
        throw new Error(`expected a redirect to the sign-in and found ${await tab.content()}`)
      return { tab, authorizationUrl }
    },
    async bindingCookies() {
      const names = (await context.cookies()).map(({ name }) => name)
      return names.filter((name) => name.includes('authchart-'))
    },
  }
}

/** Fills in the login page, if it is shown, and answers the button of the consent page. */
async function fillInLogin(tab: Page, name: string, decision: 'Approve' | 'Deny'): Promise<Locator> {
  const nameField = tab.getByLabel('Name')
  const button = tab.getByRole('button', { name: decision })
  await nameField.or(button).waitFor()
  if (await nameField.isVisible()) {
    await nameField.fill(name)
    await tab.getByRole('button', { name: 'Sign in' }).click()
  }
  await button.waitFor()
  return button
}

/** Fills in the pages of the authorization server, which sends the browser back to the host. */
export async function signIn(tab: Page, name: string, decision: 'Approve' | 'Deny' = 'Approve'): Promise<void> {
  await (await fillInLogin(tab, name, decision)).click()
}

/** Signs in, and answers the callback URL, which is not opened. */
export async function callbackUrlOf(tab: Page, name: string): Promise<string> {
  await fillInLogin(tab, name, 'Approve')
  const action = (await tab.locator('form').getAttribute('action')) ?? ''
  let url = new URL(action, tab.url())
  let response = await tab.request.post(url.href, { form: { decision: 'approve' }, maxRedirects: 0 })
  while (url.pathname !== '/callback') {
    const { location } = response.headers()
    if (location === undefined) throw new Error(`expected a redirect and found ${response.status()} at ${url.href}`)
    url = new URL(location, url)
    if (url.pathname !== '/callback') response = await tab.request.get(url.href, { maxRedirects: 0 })
  }
  return url.href
}
