import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { expect, onTestFinished, test, vi } from 'vitest'
import { ChangeFeed } from '../../../src/stores/redis/change-feed.ts'

const listener = { onChange: () => undefined, onGap: () => undefined }

/** A feed of a Cluster that has no node yet. */
function feedWithoutNode(timeoutMs: number, makeLink: () => undefined = () => undefined): ChangeFeed {
  const feed = new ChangeFeed(makeLink, 'channel', timeoutMs)
  onTestFinished(() => feed.close())
  return feed
}

test('a change feed retains nothing of a subscriber that it could not subscribe in time', async () => {
  setFlagsFromString('--expose-gc')
  const collectGarbage = runInNewContext('gc') as () => void
  const feed = feedWithoutNode(5)
  const failing = async () => new WeakRef(await feed.add(listener).catch((error: unknown) => Object(error) as object))
  const failures = await Promise.all(Array.from({ length: 10 }, failing))
  // A target of a WeakRef is never collected in the turn that made it.
  await new Promise(setImmediate)
  collectGarbage()
  expect(failures.map((failure) => failure.deref())).toEqual(failures.map(() => undefined))
})

test('a closed change feed rejects every pending and every later subscriber', async () => {
  const feed = feedWithoutNode(60_000)
  const waiting = [feed.add(listener), feed.add(listener)]
  feed.close()
  const closed = { status: 'rejected', reason: new Error('the store is closed') }
  expect(await Promise.allSettled([...waiting, feed.add(listener)])).toEqual([closed, closed, closed])
})

test('a change feed doubles the pause between its attempts to connect up to two seconds, each shortened by up to half', async () => {
  vi.useFakeTimers()
  onTestFinished(() => void vi.useRealTimers())
  const shortest = vi.spyOn(Math, 'random').mockReturnValue(0)
  onTestFinished(() => shortest.mockRestore())
  const attempts: number[] = []
  const startedAt = Date.now()
  const feed = feedWithoutNode(60_000, () => void attempts.push(Date.now() - startedAt))
  const waiting = feed.add(listener).catch((error: unknown) => error)
  await vi.advanceTimersByTimeAsync(4_000)
  const pauses = attempts.slice(1).map((at, index) => at - (attempts[index] ?? 0))
  expect(pauses).toEqual([25, 50, 100, 200, 400, 800, 1_000, 1_000])
  feed.close()
  expect(await waiting).toEqual(new Error('the store is closed'))
})
