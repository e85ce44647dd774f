import { Queue, Worker } from 'bullmq'
import type { AuthOrchestrator } from 'authchart'

/** Wakes what is due, by default once a minute, in whichever process has a worker free. */
export async function startWaking(auth: AuthOrchestrator, url: string, every = 60_000): Promise<() => Promise<void>> {
  const connection = { url, maxRetriesPerRequest: null } // connections of BullMQ's own, beside those of RedisStore
  const queue = new Queue('authchart', { connection })
  await queue.upsertJobScheduler('wake', { every }, { opts: { removeOnComplete: true, removeOnFail: 100 } })
  const worker = new Worker('authchart', () => auth.wakeDue(), { connection })
  return async () => void (await Promise.all([worker.close(), queue.close()]))
}
