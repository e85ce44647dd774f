import * as fc from 'fast-check'
import * as v from 'valibot'
import { anyText, hostileJson, hostileNumber, hostileText, hostileValue, urlText } from './hostile.ts'

/** The parts of valibot's schemas and actions that decide what they accept. */
interface Parts {
  readonly type: string
  readonly pipe: readonly Partial<Parts>[]
  readonly entries: Readonly<Record<string, Schema>>
  readonly item: Schema
  readonly items: readonly Schema[]
  readonly rest: Schema
  readonly wrapped: Schema
  readonly key: Schema
  readonly value: Schema
  readonly options: readonly unknown[]
  readonly literal: unknown
  readonly requirement: unknown
  readonly class: unknown
}
type Schema = v.GenericSchema & Partial<Parts>

/** How many values are made for a leaf of a schema, in order to choose those that it accepts. */
const SAMPLES = 200

const JWK = { kty: 'OKP', crv: 'Ed25519', x: 'fake', d: 'fake' }
const KNOWN_TEXTS = ['Bearer', 'DPoP', '600', 'read write', 'code', 'S256', 'urn:ietf:params:oauth:token-type:id-jag']
const KNOWN_URLS = ['https://as.example', 'https://as.example/token', 'https://app.example/oauth/callback']

/** Texts, among them those of the patterns that a schema has. */
function textsFor(pipe: readonly Partial<Parts>[]): fc.Arbitrary<string> {
  const patterns = pipe.flatMap(({ type, requirement }) =>
    type === 'regex' && requirement instanceof RegExp ? [requirement] : [],
  )
  // fast-check generates from no pattern with these flags.
  const own = patterns.filter(({ flags }) => !/[iu]/.test(flags))
  return fc.oneof(
    ...own.map((pattern) => fc.stringMatching(pattern)),
    urlText,
    anyText,
    fc.constantFrom(...KNOWN_TEXTS, ...KNOWN_URLS),
  )
}

function leaf({ type, pipe = [], literal, options = [], class: wanted }: Partial<Parts>): fc.Arbitrary<unknown> {
  switch (type) {
    case 'string':
      return textsFor(pipe)
    case 'number':
      return fc.oneof(fc.nat(), fc.constantFrom(1_800_000_000_000, 0, 1), hostileNumber)
    case 'boolean':
      return fc.boolean()
    case 'literal':
      return fc.constant(literal)
    case 'picklist':
      return fc.constantFrom(...options)
    case 'function':
      return fc.constant(() => undefined)
    case 'instance':
      return wanted === Uint8Array
        ? fc.uint8Array({ minLength: 32, maxLength: 33 })
        : fc.constant(new AbortController().signal)
    case 'custom':
      return fc.oneof(
        textsFor(pipe),
        fc.constantFrom(() => undefined, JWK),
        hostileValue,
      )
    default:
      return hostileJson
  }
}

/** Values of a leaf that it accepts, if any was found. */
function accepted(schema: Schema): fc.Arbitrary<unknown> {
  const all = leaf(schema)
  const found = fc.sample(all, SAMPLES).filter((value) => v.is(schema, value))
  return found.length === 0 ? all : fc.constantFrom(...found)
}

/** Values that a schema is likely to accept, made from its structure. */
export function likely(schema: v.GenericSchema): fc.Arbitrary<unknown> {
  const { type, entries, item, items, rest, wrapped, key, value, options = [] }: Schema = schema
  switch (type) {
    case 'optional':
    case 'exact_optional':
    case 'nullish':
    case 'nullable': {
      if (wrapped === undefined) throw new Error(`a schema of the type ${type} wraps nothing`)
      const absent = type.startsWith('null') ? null : undefined
      return fc.oneof({ weight: 3, arbitrary: likely(wrapped) }, { weight: 2, arbitrary: fc.constant(absent) })
    }
    case 'array':
      return fc.array(item === undefined ? hostileJson : likely(item), { minLength: 1, maxLength: 3 })
    case 'tuple':
    case 'strict_tuple':
    case 'tuple_with_rest': {
      const more = rest === undefined ? fc.constant([]) : fc.array(likely(rest), { maxLength: 2 })
      return fc.tuple(fc.tuple(...(items ?? []).map(likely)), more).map((parts) => parts.flat())
    }
    case 'record':
      if (key === undefined || value === undefined) throw new Error('a record has no key or no value')
      return fc.dictionary(likely(key).map(String), likely(value), { maxKeys: 3 })
    case 'union':
      return fc.oneof(...(options as Schema[]).map(likely))
    case 'object':
    case 'loose_object':
    case 'strict_object':
      return fc
        .record(Object.fromEntries(Object.entries(entries ?? {}).map(([name, part]) => [name, likely(part)])))
        .map((members) => Object.fromEntries(Object.entries(members).filter(([, member]) => member !== undefined)))
    default:
      return accepted(schema)
  }
}

/** The same, with one member that is missing, replaced or too many. */
export function mutated(values: fc.Arbitrary<unknown>, others = hostileValue): fc.Arbitrary<unknown> {
  return fc
    .tuple(values, fc.nat(), fc.constantFrom('drop', 'replace', 'add'), hostileText, others)
    .map(([value, index, change, name, other]) => {
      if (typeof value !== 'object' || value === null || Array.isArray(value)) return change === 'add' ? [value] : other
      const members = Object.entries(value)
      const changed = members[index % Math.max(1, members.length)]?.[0] ?? name
      if (change === 'drop') return Object.fromEntries(members.filter(([each]) => each !== changed))
      return Object.fromEntries([...members, [change === 'add' ? name : changed, other]])
    })
}
