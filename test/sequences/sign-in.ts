import assert from 'node:assert/strict'
import { type Outcome, settled } from '../support/fleet/outcome.ts'
import type { Links } from '../support/fleet/links.ts'
import type { Worker } from '../support/processes/fleet.ts'
import type { WorkerError } from '../support/processes/worker-process.ts'
import { again, inTime, TRIES } from './patience.ts'

export type Identity = Parameters<Worker['fetch']>[0]

/** A connection, as a process has it. */
export interface ConnectionInWorker {
  readonly worker: Worker
  readonly of: Identity
}

/** Asks the connection's server for its tools. */
export function listTools({ worker, of }: ConnectionInWorker): ReturnType<Worker['fetch']> {
  const body = JSON.stringify({ jsonrpc: '2.0', id: 1, method: 'tools/list' })
  return worker.fetch(of, of.server, { method: 'POST', body })
}

/**
 * Signs a person in, who clicks again where that is what the error says, and grants more scope where the server
 * requires it.
 */
export async function signIn(connection: ConnectionInWorker, links: Links): Promise<void> {
  for (let clicks = 1; ; clicks += 1) {
    const callback = await links.open(await begin(connection))
    await finish(connection, callback)
    const called: Outcome<{ status: number }, WorkerError> = await settled(again(() => listTools(connection)))
    // The server requires more scope, which its challenge names: it is in the record.
    if (called.kind === 'failed' && called.error.nextAction === 'authorize' && clicks < TRIES) continue
    if (called.kind === 'failed') throw called.error
    assert.deepEqual([called.kind, called.kind === 'done' && called.value.status], ['done', 200])
    return
  }
}

/** Answers the URL where the person consents. */
async function begin({ worker, of }: ConnectionInWorker): Promise<string> {
  const authorize = () => worker.authorize(of, { force: true })
  const begun = await again(authorize).catch(async (reason: unknown) => {
    // An imported client belongs to the server that was named before: its host has to give it up.
    if ((reason as WorkerError).nextAction !== 'configureClient') throw reason
    await again(() => worker.disconnect(of))
    return await again(authorize)
  })
  if (begun.status !== 'redirect') assert.fail(`a user is sent to the authorization server, not ${begun.status}`)
  return begun.authorizationUrl
}

/** Opens the callback URL, and loads it again where the page says so. */
async function finish({ worker }: ConnectionInWorker, url: string): Promise<void> {
  let finished = await inTime(worker.completeCallback(url))
  for (let tries = 1; finished.retryable && tries < TRIES; tries += 1)
    finished = await inTime(worker.completeCallback(url))
  assert.match(finished.status, /^(?:a|alreadyA)uthorized$/, JSON.stringify(finished.failure))
}
