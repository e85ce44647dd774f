import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, expect, inject, it, onTestFinished } from 'vitest'
import { soon, useStage } from '../support/processes/stage.ts'
import { startChromium } from './chromium.ts'
import { deploy, type Deployment } from './deployment.ts'
import { callbackUrlOf, login, type Person, signIn } from './person.ts'

const stage = useStage()

let browser: Browser
let hosts: Record<'http' | 'https', Deployment>
beforeAll(async () => {
  const settings = { mcpServer: stage.mcp.url, redisUrl: inject('redisUrl') }
  const [http, https] = [deploy('http', settings), deploy('https', settings)]
  browser = await startChromium()
  hosts = { http: await http, https: await https }
})
afterAll(() => Promise.all([browser.close(), hosts.http.stop(), hosts.https.stop()]))

let users = 0
/** A user of the host whom no other test has. */
async function newPerson({ origin } = hosts.https): Promise<Person> {
  const person = await login(browser, origin, `user-${(users += 1)}`)
  onTestFinished(() => person.context.close())
  return person
}

/** What a tool of the MCP server says once its user has signed in there. */
const youAre = (name: string): string => JSON.stringify([{ type: 'text', text: `you are ${name}` }])

async function expectWhoami(tab: Page, name: string, { origin } = hosts.https): Promise<void> {
  const shown = async (): Promise<string[]> => [tab.url(), await tab.locator('body').innerText()]
  await soon(async () => expect(await shown()).toEqual([`${origin}/whoami`, youAre(name)]))
}

/** The page that refuses a callback, which says what happened and what to do. */
async function expectRefusal(tab: Page): Promise<void> {
  const headings = tab.getByRole('heading')
  const title = 'This sign-in was not started in this browser'
  await soon(async () => expect(await headings.allInnerTexts()).toEqual([title]))
  const text = await tab.getByRole('main').innerText()
  expect(text).toContain('Please open the service in this browser and start the sign-in again')
  expect(text).toContain('If somebody sent you the link, do not use it.')
  // Nothing of the connection of the other person, such as where it goes back to.
  expect(await tab.getByRole('link').count()).toBe(0)
}

it('a link that was started in one session and is finished in another is refused, and both people can still sign in', async () => {
  const [attacker, victim] = [await newPerson(), await newPerson()]
  const { tab, authorizationUrl } = await attacker.start()
  const lured = await victim.open(authorizationUrl)
  await signIn(lured, 'alice')
  await expectRefusal(lured)
  expect(await stage.tokenRequests()).toEqual([])

  await signIn(tab, 'mallory')
  await expectWhoami(tab, 'mallory')
  const again = await victim.start()
  await signIn(again.tab, 'alice')
  await expectWhoami(again.tab, 'alice')
})

it('a callback link of another person plants no account, and the rightful user can still finish', async () => {
  const [attacker, victim] = [await newPerson(), await newPerson()]
  const { tab } = await attacker.start()
  const callbackUrl = await callbackUrlOf(tab, 'mallory')
  const lured = await victim.open(callbackUrl)
  await expectRefusal(lured)
  expect(await stage.tokenRequests()).toEqual([])
  // The victim's connection still asks its user.
  const own = await victim.start()
  await signIn(own.tab, 'alice')
  await expectWhoami(own.tab, 'alice')

  await expectWhoami(await attacker.open(callbackUrl), 'mallory')
})

it('two tabs of one browser that began a sign-in each both finish, the later one first', async () => {
  const person = await newPerson()
  const [first, second] = [await person.start(), await person.start()]
  expect(new Set(await person.bindingCookies()).size).toBe(2)
  await signIn(second.tab, 'alice')
  await expectWhoami(second.tab, 'alice')
  await signIn(first.tab, 'alice')
  await expectWhoami(first.tab, 'alice')
  expect(new Set(await stage.tokenRequests())).toEqual(new Set(['authorization_code 200']))
  expect(await person.bindingCookies()).toEqual([])
})

it.each(['https', 'http'] as const)(
  'the binding cookie of a redirect URI with %s is hidden from scripts, is sent when the browser returns from another site, and is gone after the sign-in',
  async (scheme) => {
    const host = hosts[scheme]
    const person = await newPerson(host)
    const { tab } = await person.start()
    const cookies = (await person.context.cookies(host.origin)).filter(({ name }) => name.includes('authchart-'))
    const isSecure = scheme === 'https'
    expect(cookies).toEqual([
      expect.objectContaining({
        name: expect.stringMatching(isSecure ? /^__Host-authchart-/ : /^authchart-/),
        domain: new URL(host.origin).hostname,
        path: '/',
        httpOnly: true,
        secure: isSecure,
        sameSite: 'Lax',
      }),
    ])
    expect(new URL(tab.url()).hostname).toBe('127.0.0.1')
    await signIn(tab, 'alice')
    await expectWhoami(tab, 'alice', host)
    expect(await person.bindingCookies()).toEqual([])
  },
)

it('a browser that has lost its cookies is refused, and is signed in once it starts again', async () => {
  const person = await newPerson()
  const { tab } = await person.start()
  await person.context.clearCookies({ name: /authchart-/ })
  await signIn(tab, 'alice')
  await expectRefusal(tab)
  const again = await person.start()
  await signIn(again.tab, 'alice')
  await expectWhoami(again.tab, 'alice')
})

it('a denied consent ends at a page whose link goes back to the host and sends no Referer', async () => {
  const person = await newPerson()
  const { tab } = await person.start()
  await signIn(tab, 'alice', 'Deny')
  await tab.getByRole('heading', { name: 'Access was not granted' }).waitFor()
  const back = tab.waitForRequest(`${hosts.https.origin}/whoami`)
  await tab.getByRole('link', { name: 'Go back' }).click()
  expect(await (await back).allHeaders()).not.toHaveProperty('referer')
  expect(await stage.tokenRequests()).toEqual([])
})
