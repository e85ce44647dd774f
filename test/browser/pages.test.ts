import axe from 'axe-core'
import type { Browser, Page } from 'playwright-core'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { startChromium } from './chromium.ts'
import { type Pages, servePages } from './pages.ts'

let browser: Browser
let pages: Pages
beforeAll(async () => {
  ;[browser, pages] = await Promise.all([startChromium(), servePages()])
})
afterAll(() => Promise.all([browser.close(), pages.close()]))

const SIZES = { phone: { width: 320, height: 568 }, desktop: { width: 1_280, height: 800 } }
const variants = Object.keys(SIZES).flatMap((size) =>
  (['light', 'dark'] as const).map((colorScheme) => ({ size: size as keyof typeof SIZES, colorScheme })),
)

/** What axe finds on a page, with the elements. `color-contrast` must be decided, not left open. */
async function findings(tab: Page): Promise<string[]> {
  // Not a script of the page, which its policy would block.
  await tab.evaluate(axe.source)
  const { violations, incomplete } = await tab.evaluate(() => (globalThis as unknown as { axe: typeof axe }).axe.run())
  const open = incomplete.filter(({ id }) => id === 'color-contrast')
  return [...violations, ...open].flatMap(({ id, nodes }) => nodes.map(({ html }) => `${id}: ${html}`))
}

let runs = 0
afterAll(() => console.log(`${runs} runs of axe on ${pages.urls.size} pages`))

describe.each(variants)('on a $size with a $colorScheme color scheme', ({ size, colorScheme }) => {
  it('every callback page has no finding of axe, fits the width, and loads nothing', async () => {
    const context = await browser.newContext({ viewport: SIZES[size], colorScheme })
    const tab = await context.newPage()
    const requested: string[] = []
    const reported: string[] = []
    tab.on('request', (request) => requested.push(request.url()))
    tab.on('console', (message) => reported.push(message.text()))
    const found: Record<string, unknown> = {}
    for (const [title, url] of pages.urls) {
      const response = await tab.goto(url)
      const overflow = await tab.evaluate(() => document.documentElement.scrollWidth - innerWidth)
      found[title] = { title: await tab.title(), findings: await findings(tab), overflow: Math.max(0, overflow) }
      runs += 1
      expect(response?.headers()['content-type']).toBe('text/html; charset=utf-8')
    }
    await context.close()
    expect(found).toEqual(
      Object.fromEntries([...pages.urls.keys()].map((title) => [title, { title, findings: [], overflow: 0 }])),
    )
    // Browsers ask for the icon of a site on their own.
    const isIcon = (url: string): boolean => new URL(url).pathname === '/favicon.ico'
    expect(requested.filter((url) => !isIcon(url))).toEqual([...pages.urls.values()])
    expect(reported.filter((text) => !text.startsWith('Failed to load resource'))).toEqual([])
  })
})

it('the style of a callback page is applied under its own content security policy, and a script in it is not run', async () => {
  const [url = ''] = pages.urls.values()
  const tab = await browser.newPage()
  await tab.goto(url)
  expect(await tab.evaluate(() => getComputedStyle(document.body).maxWidth)).not.toBe('none')
  await expect(tab.addScriptTag({ content: 'globalThis.hasRun = true' })).rejects.toThrow(/Content Security Policy/)
  await tab.close()
})

it('a callback page is not shown in a frame of another page', async () => {
  const [url = ''] = pages.urls.values()
  const tab = await browser.newPage()
  const framed = tab.waitForEvent('requestfailed')
  await tab.setContent(`<iframe src="${url}"></iframe>`)
  expect((await framed).failure()?.errorText).toBe('net::ERR_BLOCKED_BY_RESPONSE')
  await tab.close()
})
