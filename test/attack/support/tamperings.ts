import { createSealer, type Sealer, type SealingKey } from '../../../src/durable/sealing.ts'

/** Records that an attacker who can write to the store has at hand. */
export interface Loot {
  readonly key: string
  /** The record under attack. */
  readonly own: string
  /** Other records of the same deployment. */
  readonly others: Readonly<Record<'tenant' | 'user' | 'label' | 'server' | 'kind', { key: string; value: string }>>
  readonly sealingKeys: readonly [SealingKey, SealingKey]
}

type Tampering = (loot: Loot) => string | Promise<string>
type Envelope = Record<string, unknown> & { snapshot: { value: unknown; context: Record<string, unknown> } }

const SEGMENTS = ['header', 'key', 'iv', 'ciphertext', 'tag'] as const
const toJson = (segment: string): Record<string, unknown> =>
  JSON.parse(Buffer.from(segment, 'base64url').toString()) as Record<string, unknown>
const fromJson = (value: unknown): string => Buffer.from(JSON.stringify(value)).toString('base64url')
const sealerOf = ({ sealingKeys }: Loot): Sealer => createSealer(sealingKeys)

/** Another character in the middle of a segment. */
function flipped(segment: string): string {
  const at = Math.trunc(segment.length / 2)
  return `${segment.slice(0, at)}${segment[at] === 'A' ? 'B' : 'A'}${segment.slice(at + 1)}`
}

function withSegment(value: string, index: number, change: (segment: string) => string): string {
  return value
    .split('.')
    .map((segment, position) => (position === index ? change(segment) : segment))
    .join('.')
}

const withHeader =
  (change: Record<string, unknown>): Tampering =>
  ({ own }) =>
    withSegment(own, 0, (header) => fromJson({ ...toJson(header), ...change }))

/** What only somebody with the encryption key can write: the rest of the checks has to hold on its own. */
const resealed =
  (change: (envelope: Envelope, loot: Loot) => unknown): Tampering =>
  async (loot) => {
    const sealer = sealerOf(loot)
    const envelope = JSON.parse(await sealer.open(loot.own, { key: loot.key })) as Envelope
    return await sealer.seal(JSON.stringify(change(envelope, loot) ?? envelope), { key: loot.key })
  }

const withContext = (change: (context: Record<string, unknown>) => void): Tampering =>
  resealed(({ snapshot }) => change(snapshot.context))

/** The record of somebody else, sealed for this key. */
const plantedFrom =
  (kind: keyof Loot['others']): Tampering =>
  async (loot) => {
    const sealer = sealerOf(loot)
    return await sealer.seal(await sealer.open(loot.others[kind].value, loot.others[kind]), { key: loot.key })
  }

/** Every way in which a record is tampered with. */
export const TAMPERINGS: Readonly<Record<string, Tampering>> = {
  empty: () => '',
  'a blank': () => ' ',
  'the text null': () => 'null',
  'an empty object': () => '{}',
  'five empty segments': () => '....',
  'a megabyte of noise': () => 'AAAA.'.repeat(200_000),
  'a lone surrogate': () => '\uD800',
  'the plaintext itself': async (loot) => await sealerOf(loot).open(loot.own, loot),
  'without its last character': ({ own }) => own.slice(0, -1),
  'without its first character': ({ own }) => own.slice(1),
  'its first half': ({ own }) => own.slice(0, own.length / 2),
  'its second half': ({ own }) => own.slice(own.length / 2),
  'twice in a row': ({ own }) => own + own,
  'with a sixth segment': ({ own }) => `${own}.AAAA`,
  'with an encrypted key': ({ own }) => withSegment(own, 1, () => 'AAAA'),
  'in upper case': ({ own }) => own.toUpperCase(),
  ...Object.fromEntries(
    SEGMENTS.flatMap((name, index): [string, Tampering][] =>
      name === 'key'
        ? []
        : [
            [`one character of the ${name} changed`, ({ own }) => withSegment(own, index, flipped)],
            [`without its ${name}`, ({ own }) => withSegment(own, index, () => '')],
            [
              `the ${name} of another tenant's record`,
              ({ own, others }) => withSegment(own, index, () => others.tenant.value.split('.')[index] ?? ''),
            ],
          ],
    ),
  ),
  'the record of another tenant': ({ others }) => others.tenant.value,
  'the record of another user': ({ others }) => others.user.value,
  'the record of another label': ({ others }) => others.label.value,
  'the record of another server': ({ others }) => others.server.value,
  'a record of the other kind': ({ others }) => others.kind.value,
  'another key id': withHeader({ kid: 'k9' }),
  'the id of the other key': withHeader({ kid: 'k2' }),
  'no key id': withHeader({ kid: undefined }),
  'a key id of Object.prototype': withHeader({ kid: '__proto__' }),
  'the algorithm none': withHeader({ alg: 'none' }),
  'a wrapping algorithm': withHeader({ alg: 'A256KW' }),
  'a password algorithm': withHeader({ alg: 'PBES2-HS512+A256KW', p2c: 2 ** 31, p2s: 'AAAA' }),
  'another encryption': withHeader({ enc: 'A128CBC-HS256' }),
  compressed: withHeader({ zip: 'DEF' }),
  'a critical extension': withHeader({ crit: ['b64'], b64: false }),
  'bound to another key': withHeader({ key: 'authchart:{AAAAAAAAAAAAAAAAAAAAAA}:connection' }),
  'sealed by a foreign key of the same id': async (loot) => {
    const plaintext = await sealerOf(loot).open(loot.own, loot)
    return await createSealer([{ id: 'k1', secret: new Uint8Array(32).fill(99) }]).seal(plaintext, loot)
  },
  'sealed for another key': async (loot) => {
    const sealer = sealerOf(loot)
    return await sealer.seal(await sealer.open(loot.own, loot), { key: loot.others.tenant.key })
  },
  'a record of the other kind inside': plantedFrom('kind'),
  'another machine': resealed((envelope) => ({ ...envelope, machine: 'other' })),
  'a newer machine': resealed((envelope) => ({ ...envelope, machineVersion: 99 })),
  'a machine version that is no number': resealed((envelope) => ({ ...envelope, machineVersion: '1' })),
  'a newer format': resealed((envelope) => ({ ...envelope, format: 99 })),
  'format 0': resealed((envelope) => ({ ...envelope, format: 0 })),
  'an instant that is no number': resealed((envelope) => ({ ...envelope, savedAt: null })),
  'no snapshot': resealed((envelope) => ({ ...envelope, snapshot: undefined })),
  'no context': resealed((envelope) => ({ ...envelope, snapshot: { value: envelope.snapshot.value } })),
  'an empty context': resealed((envelope) => ({ ...envelope, snapshot: { ...envelope.snapshot, context: {} } })),
  'a generation that is no number': withContext((context) => void (context['generation'] = 'x')),
  'an endless number': withContext((context) => void (context['at'] = '1e999')),
  'an array as context': resealed((envelope) => ({ ...envelope, snapshot: { ...envelope.snapshot, context: [] } })),
}

/**
 * What only a holder of the encryption key can write of a connection's own content: reading does not look at the state,
 * and nothing can be written from it.
 */
export const UNUSABLE_STATES: Readonly<Record<string, Tampering>> = {
  'an unknown state': resealed((envelope) => ({ ...envelope, snapshot: { ...envelope.snapshot, value: 'nowhere' } })),
  'a working state': resealed((envelope) => ({
    ...envelope,
    snapshot: { ...envelope.snapshot, value: { exchanging: 'requesting', requesting: {} } },
  })),
}
