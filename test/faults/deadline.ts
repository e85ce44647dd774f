import { openCalls } from './fault-process.ts'

/**
 * The result of what has to end in this time.
 *
 * @param open What has not ended yet.
 * @throws If it has not, with what is still open.
 */
export async function within<Result>(ms: number, open: () => string, work: Promise<Result>): Promise<Result> {
  const { promise: overrun, reject } = Promise.withResolvers<never>()
  const timer = setTimeout(() => {
    const calls = openCalls().join(', ') || 'no call'
    reject(new Error(`after ${ms / 1_000} s not ended: ${open()}; open: ${calls}`))
  }, ms)
  try {
    return await Promise.race([work, overrun])
  } finally {
    clearTimeout(timer)
  }
}
