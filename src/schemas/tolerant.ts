import * as v from 'valibot'

/** The parts of a schema that may contain objects. */
interface Parts {
  readonly pipe: readonly [v.GenericSchema, ...[]]
  readonly entries: Readonly<Record<string, v.GenericSchema>>
  readonly item: v.GenericSchema
  readonly wrapped: v.GenericSchema
}

/**
 * The same schema for a record that a newer release may have written: members that this release does not have are
 * retained in every object, and written back with the object that they belong to.
 */
export function tolerant<Schema extends v.GenericSchema>(schema: Schema): Schema
export function tolerant(schema: v.GenericSchema & Partial<Parts>): v.GenericSchema {
  const { pipe, entries, item, wrapped } = schema
  if (pipe !== undefined) {
    const [root, ...actions] = pipe
    return v.pipe(tolerant(root), ...actions)
  }
  if (entries !== undefined)
    return v.looseObject(Object.fromEntries(Object.entries(entries).map(([name, each]) => [name, tolerant(each)])))
  if (item !== undefined) return v.array(tolerant(item))
  return wrapped !== undefined && schema.type === 'optional' ? v.optional(tolerant(wrapped)) : schema
}
