import { createInterface } from 'node:readline/promises'
import { setTimeout as sleep } from 'node:timers/promises'
import { UserAgent } from '../../support/user-agent.ts'
import type { Agent } from './start-agent.ts'

/** The two tenants of the demo, and the user who signs each of them in. */
export const USERS = { acme: 'alice', globex: 'bob' } as const
export type Tenant = keyof typeof USERS
export const TENANTS = ['acme', 'globex'] as const satisfies Tenant[]

/** The process that starts a sign-in, the process that receives the callbacks, and an output for progress. */
export interface SignIn {
  one: Agent
  two: Agent
  say(who: string, line: string): void
}

/**
 * Two users sign in and consent, each in their own browser. Process 1 is suspended from before they approve until
 * process 2 has responded to both callbacks.
 *
 * @param beforeApproval Called while both are at the consent page.
 * @param whileStopped Called before process 1 goes on.
 */
export async function signInHeadless(
  { one, two, say }: SignIn,
  beforeApproval: () => Promise<void>,
  whileStopped: () => Promise<void>,
): Promise<void> {
  const waiting = await Promise.all(
    TENANTS.map(async (tenant) => {
      const browser = new UserAgent()
      const consent = await browser.openConsent(`${one.origin}/start?tenant=${tenant}`, { login: USERS[tenant] })
      if (typeof consent === 'string') throw new Error('no consent was asked for')
      say(`${USERS[tenant]}'s browser`, `${tenant}: signed in as ${USERS[tenant]}, and is at the consent page`)
      return { tenant, browser, consent }
    }),
  )
  for (const tenant of TENANTS) say(two.name, `${tenant}: reads that it is ${(await two.status(tenant)).state}`)
  await beforeApproval()
  one.signal('SIGSTOP')
  say(one.name, 'stands still')
  for (const { tenant, browser, consent } of waiting) {
    const callbackUrl = await consent.approve()
    say(`${USERS[tenant]}'s browser`, `${tenant}: approved, and opens the callback at process 2`)
    const response = await browser.open(callbackUrl)
    if (response.status !== 200) throw new Error(`the callback was answered with ${response.status}`)
  }
  await whileStopped()
  one.signal('SIGCONT')
  say(one.name, 'goes on')
}

/** Waits for Enter. */
export async function pressEnter(): Promise<void> {
  const terminal = createInterface(process.stdin, process.stdout)
  await terminal.question('Press Enter to go on. ')
  terminal.close()
}

/** Waits until a person has signed both tenants in. */
export async function signInByHand({ one, two, say }: SignIn): Promise<void> {
  say('you', 'open these in your browser, one after the other, and sign in under two different names:')
  for (const tenant of TENANTS) say('', `${one.origin}/start?tenant=${tenant}`)
  const pending = new Set<Tenant>(TENANTS)
  while (pending.size > 0) {
    await sleep(500)
    for (const tenant of pending) if ((await two.status(tenant)).state === 'authorized') pending.delete(tenant)
  }
}
