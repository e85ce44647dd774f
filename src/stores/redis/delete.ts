/**
 * Deletes a record only if it still has the expected version, and leaves a tombstone: the writes that it remembered, so
 * that a late repeat of one revives nothing.
 *
 * - KEYS[1]: the record, a hash
 * - ARGV[1]: the write id
 * - ARGV[2]: the expected version
 * - ARGV[3]: the channel of change notices
 * - ARGV[4]: the notice
 * - ARGV[5]: how many writes a record remembers
 * - ARGV[6]: how long the tombstone stays, in milliseconds
 *
 * Result: `deleted`, or nil if it is refused.
 */
export const del = {
  numberOfKeys: 1,
  lua: `
local held = redis.call('HMGET', KEYS[1], 'version', 'writes')
local version, writes = held[1], cjson.decode(held[2] or '[]')
for i = 1, #writes, 2 do
  if writes[i] == ARGV[1] then
    -- Changes nothing, but is a write, so that a WAIT behind it waits for what the first one wrote.
    redis.call('HSET', KEYS[1], 'writes', held[2])
    return writes[i + 1] == 'deleted' and writes[i + 1]
  end
end
if version ~= ARGV[2] then return false end
writes[#writes + 1] = ARGV[1]
writes[#writes + 1] = 'deleted'
while #writes > 2 * ARGV[5] do table.remove(writes, 1) end
redis.call('HDEL', KEYS[1], 'value', 'version', 'writtenAt')
redis.call('HSET', KEYS[1], 'writes', cjson.encode(writes))
redis.call('PEXPIRE', KEYS[1], ARGV[6])
redis.call('PUBLISH', ARGV[3], ARGV[4])
return 'deleted'
`,
}
