import { AsyncLocalStorage } from 'node:async_hooks'
import { fork } from 'node:child_process'
import { Channel } from 'node:diagnostics_channel'
import { once } from 'node:events'
import { Readable } from 'node:stream'
import { text } from 'node:stream/consumers'
import { fileURLToPath } from 'node:url'
import { inspect } from 'node:util'
import { Redis } from 'ioredis'
import { expect, inject, onTestFinished, test } from 'vitest'
import { RedisStore } from '../../src/stores/redis/index.ts'
import { startForwardProxy } from '../unit/connection/forward-proxy.ts'
import { type Redirect, REDIRECT_URI, startWorld, type World } from '../unit/connection/world.ts'
import { MARK, Outputs } from './support/outputs.ts'
import { addSent, noted, searched, signInSearched, type Stage, useSearched } from './support/secret-flows.ts'
import { printCounts } from './support/selection.ts'

/** The channels that show secrets: those of SECURITY.md and of docs/operating.md. */
const CHANNELS_WITH_SECRETS = [
  'undici:client:connected',
  'undici:client:sendHeaders',
  'undici:request:bodyChunkReceived',
  'undici:request:bodyChunkSent',
  'undici:request:bodySent',
  'undici:request:create',
  'undici:request:error',
  'undici:request:headers',
  'undici:request:trailers',
]

/**
 * What subscribers receive on every channel of this process, whoever created it and whenever: each seems to have
 * subscribers. Only of what happens within `own`, so that the test's servers are left out.
 */
function collectChannels(own: AsyncLocalStorage<true>): Map<string, Outputs> {
  const received = new Map<string, Outputs>()
  const note = ({ name }: Channel, message: unknown): void => {
    if (own.getStore() === undefined) return
    const outputs = received.get(String(name)) ?? new Outputs()
    received.set(String(name), outputs)
    outputs.note('a message', inspect(message, { depth: 5, showHidden: true, maxStringLength: null }))
  }
  const { hasSubscribers, publish, runStores } = Object.getOwnPropertyDescriptors(Channel.prototype)
  Object.defineProperties(Channel.prototype, {
    hasSubscribers: { configurable: true, get: () => true },
    publish: {
      configurable: true,
      value(this: Channel, message: unknown) {
        note(this, message)
      },
    },
    runStores: {
      configurable: true,
      value(this: Channel, message: unknown, run: (...args: unknown[]) => unknown, that: unknown, ...args: unknown[]) {
        note(this, message)
        return Reflect.apply(run, that, args)
      },
    },
  })
  onTestFinished(
    () =>
      void Object.defineProperties(Channel.prototype, { hasSubscribers, publish, runStores } as PropertyDescriptorMap),
  )
  return received
}

test('of all diagnostics channels only the documented ones of undici show secrets', async () => {
  const outputs = new Outputs()
  const world = await startWorld({ mark: MARK })
  const proxy = await startForwardProxy({ password: `${MARK}proxy` })
  const stage: Stage = { world, outputs, call: (where, work) => noted(outputs, where, work) }
  const redis = new Redis(inject('redisUrl'))
  onTestFinished(() => redis.disconnect())
  const key = (name: string): Uint8Array => new TextEncoder().encode(`${MARK}${name}`.padEnd(32, 'k').slice(0, 32))
  const own = new AsyncLocalStorage<true>()
  const received = collectChannels(own)
  await own.run(true, async () => {
    const nobody = `http://user:${MARK}proxy@127.0.0.1:1`
    for (const [user, url] of [['proxied', proxy.url], ['offline', nobody], ['direct']] as const) {
      if (url === undefined) world.as.routes['POST /revoke'] = { hangUp: true }
      const options = {
        store: new RedisStore(redis, { prefix: 'attack-diagnostics:' }),
        keys: { name: key('n'), sealing: [{ id: 'k1', secret: key('s') }] },
        network: { allow: ['127.0.0.1'], timeoutMs: 700, ...(url && { proxy: url }) },
      }
      await useSearched(stage, await signInSearched(stage, searched(options, outputs), user))
    }
  })
  const withSecrets = [...received].filter(([, messages]) => messages.found().length > 0)
  expect(withSecrets.map(([name]) => name).toSorted()).toEqual(CHANNELS_WITH_SECRETS)
  // Others were published to, and looked into as well.
  const names = [...received.keys()]
  expect(names).toEqual(expect.arrayContaining(['net.client.socket', 'undici:client:connectError']))
  printCounts('diagnostics channels', { channels: names.length, 'with secrets': withSecrets.length })
})

/** What a process that signs in, and sends a secret in a URL, prints with this NODE_DEBUG, by section. */
async function sectionsWith(world: World, debug: string): Promise<Map<string, string[]>> {
  const script = fileURLToPath(new URL('support/debugged.ts', import.meta.url))
  const env = { ...process.env, NODE_DEBUG: debug }
  const child = fork(script, [world.server, REDIRECT_URI, `?token=${MARK}query`], { env, execArgv: [], silent: true })
  onTestFinished(() => void child.kill())
  const printed = Promise.all([
    text(child.stdout ?? Readable.from([])),
    text(child.stderr ?? Readable.from([])),
    once(child, 'close'),
  ])
  const [redirect] = (await once(child, 'message')) as [Redirect]
  child.send(world.callback(redirect))
  const [stdout, stderr, [exitCode]] = await printed
  expect([exitCode, stdout]).toEqual([0, ''])
  const sections = new Map<string, string[]>()
  let section = ''
  for (const line of stderr.split('\n')) {
    section = /^([A-Z_\d]+) \d+: /.exec(line)?.[1] ?? section
    const lines = sections.get(section) ?? []
    lines.push(line)
    sections.set(section, lines)
  }
  return sections
}

test.each([
  { debug: '*', shown: 'FETCH' },
  { debug: 'undici', shown: 'UNDICI' },
])('NODE_DEBUG=$debug shows the URLs of requests by $shown, and no other secret', async ({ debug, shown }) => {
  const world = await startWorld({ mark: MARK })
  const sections = await sectionsWith(world, debug)
  const showing = new Set<string>()
  for (const [name, lines] of sections) {
    const outputs = new Outputs()
    addSent(world.as, outputs)
    outputs.note(
      'NODE_DEBUG',
      lines.join('\n').replaceAll(`/mcp?token=${MARK}query`, () => (showing.add(name), '/mcp')),
    )
    expect(outputs.found()).toEqual([])
  }
  expect([...showing]).toEqual([shown])
  expect(world.as.asked()).toContain('POST /revoke')
  printCounts(`NODE_DEBUG=${debug}`, { sections: sections.size, 'with URLs': showing.size })
})
