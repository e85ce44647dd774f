import { inspect } from 'node:util'

/** All that can be seen of a value: as an inspector shows it, hidden properties included, as text and as JSON. */
export function visible(value: unknown): string {
  const json = JSON.stringify(value) ?? ''
  const text = inspect(value, { depth: null, showHidden: true, maxStringLength: null, maxArrayLength: null })
  const error = value instanceof Error ? `${value.message}\n${value.stack}\n${visible(value.cause)}` : ''
  return `${text}\n${json}\n${error}`
}
