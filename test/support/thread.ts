import { Worker } from 'node:worker_threads'

const THREAD = `
  import { parentPort, workerData } from 'node:worker_threads'
  const module = await import(workerData)
  parentPort.on('message', async ({ name, args }) => parentPort.postMessage(await module[name](...args)))
`

/** A thread that calls the exported functions of a module, one at a time. */
export interface Thread {
  call<Args extends unknown[], Result>(exported: (...args: Args) => Result, ...args: Args): Promise<Result>
  stop(): Promise<void>
}

/** Starts a thread for work of a compiler, which takes twice as long where coverage is counted. */
export function startThread(module: URL): Thread {
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(THREAD)}`), {
    workerData: module.href,
    execArgv: [],
  })
  return {
    call: (exported, ...args) =>
      new Promise((resolve, reject) => {
        worker.once('error', reject)
        worker.once('message', (result: Awaited<ReturnType<typeof exported>>) => {
          worker.off('error', reject)
          resolve(result)
        })
        // oxlint-disable-next-line unicorn/require-post-message-target-origin -- a thread has none
        worker.postMessage({ name: exported.name, args })
      }),
    stop: async () => void (await worker.terminate()),
  }
}
