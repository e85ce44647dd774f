/**
 * Runs a server as a program of its own: options as JSON in the first argument, one line of JSON on standard output
 * when it is ready, an orderly end on SIGTERM or when the process that started it is gone.
 */
export async function runAsProgram<Options>(
  start: (options: Options) => Promise<{ facts: Record<string, string>; close(): Promise<void> }>,
): Promise<void> {
  const options = JSON.parse(process.argv[2] ?? '{}') as Options
  const { facts, close } = await start(options)
  const end = (): void => {
    void close().then(() => process.exit(0))
  }
  process.once('SIGTERM', end)
  process.once('SIGINT', end)
  if (process.connected) process.once('disconnect', end)
  process.stdout.write(`${JSON.stringify({ ready: true, ...facts })}\n`)
}
