/** A warning that the process emitted, as plain data. */
export interface ProcessWarning {
  name: string
  code: string | undefined
  message: string
}

/** The warnings of this package that the process emits while `work` runs, in their order. */
export async function processWarnings(work: () => Promise<unknown>): Promise<ProcessWarning[]> {
  const warnings: ProcessWarning[] = []
  const listener = (warning: Error & { code?: string }): void => {
    const { name, code, message } = warning
    if (name === 'AuthchartWarning') warnings.push({ name, code, message })
  }
  // Without those that print: some tests cause hundreds.
  const others = process.listeners('warning')
  process.removeAllListeners('warning')
  process.on('warning', listener)
  try {
    await work()
    // Node emits a warning in the next tick.
    await new Promise((resolve) => setImmediate(resolve))
  } finally {
    process.off('warning', listener)
    for (const other of others) process.on('warning', other)
  }
  return warnings
}
