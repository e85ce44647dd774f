import { systemClock } from '../../../src/clock.ts'
import { createAuthOrchestrator } from '../../../src/index.ts'
import { FaultyStore, type StoreReport } from './faulty-store.ts'
import { openStore } from './open-store.ts'
import type { SentError, TextKeys, WorkerCalls, WorkerInit } from './worker-protocol.ts'

const bytes = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'base64url'))

const EVENTS = ['transition', 'authorizationRequired', 'authorized', 'refreshed', 'failed', 'disconnected'] as const

const readKeys = ({ name, sealing }: TextKeys) => ({
  name: bytes(name),
  sealing: sealing.map(({ id, secret }) => ({ id, secret: bytes(secret) })),
})

/** An orchestrator in a process of its own. */
export interface Built {
  calls: WorkerCalls
  /** Closes everything, unless something is in the middle of it; answers whether it did. */
  rest(): Promise<boolean>
}

/**
 * Builds an orchestrator on a store that a test can make fail.
 *
 * @param report Receives the points of armed faults that are reached, and the operations of the store.
 * @param report.told Collects the inspection records and events, for `told()`.
 */
export function buildOrchestrator(init: WorkerInit, report: StoreReport & { told?: string[] }): Built {
  const { store: address, keys, clockOffsetMs = 0, faults = [], ...options } = init
  const { store: inner, end } = openStore(address)
  const store = new FaultyStore(inner, report)
  for (const fault of faults) store.arm(fault)
  const { told } = report
  const orchestrator = createAuthOrchestrator({
    ...options,
    ...(told && { inspect: (record) => told.push(JSON.stringify(record)) }),
    store,
    keys: readKeys(keys),
    clock: { ...systemClock, now: () => systemClock.now() + clockOffsetMs },
  })
  if (told !== undefined)
    for (const name of EVENTS) orchestrator.on(name, (event: unknown) => told.push(`${name} ${JSON.stringify(event)}`))
  let closing: Promise<void> | undefined
  const closeAll = async (): Promise<void> => {
    await orchestrator.close()
    // Whoever hands a store in closes it.
    await inner.close()
    await end()
  }
  const close = (): Promise<void> => (closing ??= closeAll())
  const calls: WorkerCalls = {
    authorize: (of, ...args) => orchestrator.connection(of).authorize(...args),
    accessToken: (of, ...args) => orchestrator.connection(of).accessToken(...args),
    status: (of) => orchestrator.connection(of).status(),
    wake: (of) => orchestrator.connection(of).wake(),
    awaitAuthorized: (of, ...args) => orchestrator.connection(of).awaitAuthorized(...args),
    disconnect: (of) => orchestrator.connection(of).disconnect(),
    import: (of, ...args) => orchestrator.connection(of).import(...args),
    completeCallback: (url, ...args) => orchestrator.completeCallback(url, ...args),
    fetch: async (of, url, request) => {
      const response = await orchestrator.connection(of).fetch(url, request)
      return { status: response.status, headers: Object.fromEntries(response.headers), text: await response.text() }
    },
    whoami: async (of) => {
      // Half of the start of a process, which most of them do not need.
      const { Client, StreamableHTTPClientTransport } = await import('@modelcontextprotocol/client')
      const connection = orchestrator.connection(of)
      const client = new Client({ name: 'worker', version: '1.0.0' })
      await client.connect(
        new StreamableHTTPClientTransport(new URL(of.server), {
          fetch: (input, request) => connection.fetch(input, request),
        }),
      )
      const { content } = await client.callTool({ name: 'whoami' })
      await client.close()
      return content.map((part) => (part.type === 'text' ? part.text : '')).join('')
    },
    close,
    arm: (fault) => Promise.resolve(store.arm(fault)),
    disarm: () => Promise.resolve(store.disarm()),
    resume: (point) => Promise.resolve(store.resume(point)),
    storeDown: (down) => {
      store.down = down
      return Promise.resolve()
    },
    told: () => Promise.resolve(told?.splice(0) ?? []),
  }
  const rest = async (): Promise<boolean> => {
    if (store.isPaused) return false
    store.disarm()
    store.down = false
    await close()
    return true
  }
  return { calls, rest }
}

/** An error as it travels. */
export function sendable(error: unknown): SentError {
  const { name, message, code, retryable, nextAction, failure } = error as SentError
  return JSON.parse(JSON.stringify({ name, message, code, retryable, nextAction, failure })) as SentError
}
