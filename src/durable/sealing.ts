import { compactDecrypt, CompactEncrypt, decodeProtectedHeader } from 'jose'
import * as v from 'valibot'
import { AuthorizationError, isAuthorizationError } from '../errors/authorization-error.ts'
import { failure } from '../errors/failure.ts'
import { truncate } from '../errors/redact.ts'
import { KeyBytes, KeyId } from '../schemas/option-values.ts'
import { parseOptions } from '../schemas/parse-options.ts'

/**
 * Encrypts records before they leave the process. A host may provide its own, for a key management service or one key
 * for each tenant; its errors should be {@link AuthorizationError}s with the codes listed here.
 */
export interface Sealer {
  /** Encrypts and authenticates the plaintext, bound to the store key of its record. */
  seal(plaintext: string, binding: { key: string }): Promise<string>
  /**
   * Decrypts the result of `seal` for the same record.
   *
   * @throws {@link AuthorizationError} `SNAPSHOT_KEY_UNKNOWN` if the encryption key is not configured, with its id in
   *   `details.received`; `SNAPSHOT_UNREADABLE` if decryption fails for another reason.
   */
  open(sealed: string, binding: { key: string }): Promise<string>
  /**
   * Whether the result of `seal` was encrypted with the key that `seal` uses now. `wake()` and `connections()` encrypt
   * other records anew. @defaultValue every record was
   */
  isCurrent?(sealed: string): boolean
}

/** A key that encrypts records. */
export interface SealingKey {
  /** Identifies the key inside each encrypted record. Not secret. At most 256 characters. */
  id: string
  /** 32 random bytes. */
  secret: Uint8Array
}

const SealingKeySchema = v.object({
  id: KeyId,
  secret: KeyBytes,
})

const SealingKeysSchema = v.pipe(
  v.tupleWithRest([SealingKeySchema], SealingKeySchema),
  v.check(
    (keys) => new Set(keys.map((key) => key.id)).size === keys.length,
    'must not contain two keys with the same id',
  ),
)

const unreadable = () => new AuthorizationError(failure('SNAPSHOT_UNREADABLE', { reason: 'doesNotOpen' }))

/**
 * Encrypts with AES-256-GCM, as a compact JWE that names its key (`kid`) and is bound to the store key of its record,
 * so that a record copied to another key cannot be decrypted.
 *
 * @param keys The first one encrypts, all decrypt. To rotate, append a new key, then prepend it, and retain the old
 *   ones while records encrypted with them exist.
 * @throws `TypeError` if the list is empty, if a secret is not 32 bytes long, or if two keys have the same id.
 * @see [RFC 7516 §3.1](https://www.rfc-editor.org/rfc/rfc7516.html#section-3.1)
 */
export function createSealer(keys: readonly SealingKey[]): Sealer {
  const parsed = parseOptions(SealingKeysSchema, keys, 'keys.sealing')
  // The bytes are copied before this returns, so that the host may erase its own.
  const imported = new Map(
    parsed.map(({ id, secret }) => [
      id,
      crypto.subtle.importKey('raw', new Uint8Array(secret), 'AES-GCM', false, ['encrypt', 'decrypt']),
    ]),
  )
  const encryptionKeyId = parsed[0].id
  const keyNamed = async (id = '') => {
    const key = await imported.get(id)
    if (key === undefined) throw new AuthorizationError(failure('SNAPSHOT_KEY_UNKNOWN', { received: truncate(id) }))
    return key
  }
  return {
    async seal(plaintext, { key }) {
      return await new CompactEncrypt(Buffer.from(plaintext))
        .setProtectedHeader({ alg: 'dir', enc: 'A256GCM', kid: encryptionKeyId, key })
        .encrypt(await keyNamed(encryptionKeyId))
    },
    async open(sealed, { key }) {
      try {
        const { plaintext, protectedHeader } = await compactDecrypt(sealed, ({ kid }) => keyNamed(kid), {
          keyManagementAlgorithms: ['dir'],
          contentEncryptionAlgorithms: ['A256GCM'],
        })
        if (protectedHeader['key'] !== key) throw unreadable()
        return Buffer.from(plaintext).toString()
      } catch (error) {
        throw isAuthorizationError(error) ? error : unreadable()
      }
    },
    isCurrent: (sealed) => decodeProtectedHeader(sealed).kid === encryptionKeyId,
  }
}

/** Does not encrypt: for a store inside the process if the host configured no keys. */
export const plainSealer: Sealer = {
  seal: async (plaintext) => plaintext,
  open: async (sealed) => sealed,
}
