import { createHash, createHmac } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import {
  connectionKey,
  createState,
  hashBinding,
  hashBindingWithoutKey,
  hashState,
  parseState,
  registrationKey,
  routingId,
} from '../../../src/connection/routing.ts'

const nameKey = new Uint8Array(32).fill(7)
const parts = ['t1', null, 'https://mcp.example.com/mcp', null]
const id = new Uint8Array(16).fill(1)
const random = new Uint8Array(32).fill(2)
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64url')

describe('routingId()', () => {
  test('routingId() returns the first 16 bytes of HMAC-SHA-256 over the JSON array', () => {
    const whole = createHmac('sha256', nameKey).update('["t1",null,"https://mcp.example.com/mcp",null]').digest()
    expect(text(routingId(nameKey, parts))).toBe(text(whole.subarray(0, 16)))
  })

  test('routingId() depends on the key, on each part and on its position', () => {
    const ids = [
      routingId(nameKey, parts),
      routingId(new Uint8Array(32), parts),
      routingId(nameKey, ['t1', 'null', 'https://mcp.example.com/mcp', null]),
      routingId(nameKey, ['t1', '', 'https://mcp.example.com/mcp', null]),
      routingId(nameKey, ['t1', null, 'https://mcp.example.com/mcp/', null]),
      routingId(nameKey, [null, 't1', 'https://mcp.example.com/mcp', null]),
      routingId(nameKey, ['t1","', 'https://mcp.example.com/mcp', null]),
    ]
    expect(new Set(ids.map(text)).size).toBe(ids.length)
  })
})

test('record keys contain the routing id as the hash tag and no other part of the identity', () => {
  expect(connectionKey(id)).toBe('authchart:{AQEBAQEBAQEBAQEBAQEBAQ}:connection')
  expect(registrationKey(id)).toBe('authchart:{AQEBAQEBAQEBAQEBAQEBAQ}:registration')
  expect(connectionKey('AQEBAQEBAQEBAQEBAQEBAQ')).toBe(connectionKey(id))
  expect(registrationKey('AQEBAQEBAQEBAQEBAQEBAQ')).toBe(registrationKey(id))
})

describe('the state parameter', () => {
  const state = createState(id, random)

  test('parseState() returns the routing id of a state that createState() made', () => {
    expect(state).toBe('AQEBAQEBAQEBAQEBAQEBAQ.AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgI')
    expect(parseState(state)).toEqual({ routingId: 'AQEBAQEBAQEBAQEBAQEBAQ' })
  })

  test.each([
    '',
    '.',
    text(id),
    `${text(id)}.`,
    `.${text(random)}`,
    `${state}.`,
    `${state}.x`,
    ` ${state}`,
    `${state} `,
    `${state}=`,
    `${text(random)}.${text(id)}`,
    `${text(id.subarray(1))}.${text(random)}`,
    `${text(id)}.${text(random.subarray(1))}`,
    // Other spellings of the same bytes: unused bits set, the other alphabet.
    `AQEBAQEBAQEBAQEBAQEBAR.${text(random)}`,
    `${text(id)}.AgICAgICAgICAgICAgICAgICAgICAgICAgICAgICAgJ`,
    `${Buffer.alloc(16, 255).toString('base64').replaceAll('=', '')}.${text(random)}`,
  ])('parseState() returns undefined for the malformed state %j', (wrong) => {
    expect(parseState(wrong)).toBeUndefined()
  })

  test('a state is stored as a hash, and a binding as a hash under the name key', () => {
    const hash = createHash('sha256').update(state).digest('base64url').slice(0, 22)
    expect(hashState(state)).toBe(hash)
    expect(hashBindingWithoutKey(state)).toBe(hash)
    const [key, other] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)]
    const hmac = createHmac('sha256', key).update('["binding","session"]').digest().subarray(0, 16)
    expect(hashBinding(key, 'session')).toBe(hmac.toString('base64url'))
    expect(hashBinding(other, 'session')).not.toBe(hashBinding(key, 'session'))
    expect(hashState(`${state}x`)).not.toBe(hash)
  })
})
