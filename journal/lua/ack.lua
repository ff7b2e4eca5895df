-- ack: acknowledges entries that the relay has sent.
--
-- KEYS  journal   stream of the epoch
--       sent      string, the highest id that was acknowledged
-- ARGV  group, the highest of the ids, then the ids
-- Returns the number of entries that were pending. Idempotent. By `sent` an offset of SQL is recognized that was further before: the relay
-- sends nothing beyond it.
local journal, sent = unpack(KEYS)
local group, highest = ARGV[1], ARGV[2]
local first_id = 3

local function less(a, b)
  local a_ms, a_seq = string.match(a, '^(%d+)-(%d+)$')
  local b_ms, b_seq = string.match(b, '^(%d+)-(%d+)$')
  a_ms, a_seq, b_ms, b_seq = tonumber(a_ms), tonumber(a_seq), tonumber(b_ms), tonumber(b_seq)
  return a_ms < b_ms or (a_ms == b_ms and a_seq < b_seq)
end

if less(redis.call('GET', sent) or '0-0', highest) then redis.call('SET', sent, highest) end
return redis.call('XACK', journal, group, unpack(ARGV, first_id))
