import { readdirSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import type * as v from 'valibot'

const src = fileURLToPath(new URL('../../../src', import.meta.url))

const isSchema = (value: unknown): value is v.GenericSchema =>
  typeof value === 'object' && value !== null && 'kind' in value && value.kind === 'schema' && '~run' in value

/** Every schema that a module of a folder of src/ exports, by module and name: `wire.Text`. */
export async function exportedSchemas(folder: string): Promise<ReadonlyMap<string, v.GenericSchema>> {
  const files = readdirSync(join(src, folder)).filter((file) => file.endsWith('.ts'))
  const modules = await Promise.all(
    files.map(async (file) => {
      const members: Record<string, unknown> = await import(join(src, folder, file))
      return Object.entries(members).flatMap(([name, value]) =>
        isSchema(value) ? [[`${file.replace(/\.ts$/, '')}.${name}`, value] as const] : [],
      )
    }),
  )
  return new Map(modules.flat())
}
