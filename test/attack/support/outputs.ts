import { onTestFinished } from 'vitest'
import { visible } from '../../support/visible.ts'

/** In every secret that the test makes up; as long as tokens are. */
export const MARK = 'zq9secret0Vd81kQm7tPw3x-'

/** How a text looks after it was encoded; of base64 what stays the same wherever it starts. */
function encodings(secret: string): string[] {
  const bytes = Buffer.from(secret)
  const aligned = [0, 1, 2].map((before) =>
    Buffer.concat([Buffer.alloc(before), bytes])
      .toString('base64')
      .replace(/=+$/, '')
      .slice(before === 0 ? 0 : before + 1, -1),
  )
  return [
    secret,
    ...aligned,
    ...aligned.map((text) => text.replaceAll('+', '-').replaceAll('/', '_')),
    bytes.toString('hex'),
    encodeURIComponent(secret),
    JSON.stringify(secret).slice(1, -1),
    [...bytes].join(', '),
    [...bytes].join(','),
  ]
}

/** Everything that a process lets out, by where it came out. */
export class Outputs {
  readonly #texts: { where: string; text: string }[] = []
  readonly #secrets = new Map<string, Set<string>>()

  /** Collects what the process writes and warns of until the test ends. */
  collectProcess(): void {
    const streams = { stdout: process.stdout, stderr: process.stderr }
    for (const [where, stream] of Object.entries(streams)) {
      const write = stream.write
      stream.write = (chunk: string | Uint8Array, ...rest: unknown[]): boolean => {
        this.note(where, typeof chunk === 'string' ? chunk : Buffer.from(chunk).toString())
        return Reflect.apply(write, stream, [chunk, ...rest]) as boolean
      }
      onTestFinished(() => void (stream.write = write))
    }
    const onWarning = (warning: Error): void => this.note('a process warning', warning)
    process.on('warning', onWarning)
    onTestFinished(() => void process.off('warning', onWarning))
  }

  /** Notes a text, or all that can be seen of a value. */
  note(where: string, value: unknown): void {
    this.#texts.push({ where, text: typeof value === 'string' ? value : visible(value) })
  }

  /** A value that must come out nowhere. */
  addSecret(kind: string, value: string | null | undefined): void {
    if (typeof value !== 'string' || value.length < 8) return
    this.#secrets.set(kind, (this.#secrets.get(kind) ?? new Set()).add(value))
  }

  /** How many outputs there are of each place, and secrets of each kind. */
  get counts(): { outputs: Map<string, number>; secrets: Map<string, number> } {
    const outputs = new Map<string, number>()
    for (const { where } of this.#texts) outputs.set(where, (outputs.get(where) ?? 0) + 1)
    return { outputs, secrets: new Map([...this.#secrets].map(([kind, values]) => [kind, values.size])) }
  }

  /** Each secret that came out, in whatever encoding, with the places. */
  found(): string[] {
    const wanted = new Map<string, string>()
    for (const [kind, values] of this.#secrets)
      for (const value of values) for (const form of encodings(value)) wanted.set(form, kind)
    for (const form of encodings(MARK)) wanted.set(form, 'marked')
    const found = new Set<string>()
    const distinct = new Map(this.#texts.map(({ where, text }) => [text, where]))
    for (const [text, where] of distinct) {
      for (const [form, kind] of wanted) {
        const at = text.indexOf(form)
        if (at !== -1) found.add(`${kind} in ${where}: …${text.slice(Math.max(0, at - 80), at + 40)}…`)
      }
    }
    return [...found]
  }
}
