-- epoch_close: stops all reservations, so that the journal of the last epoch can be flushed and a new one opened.
--
-- KEYS  epoch_key   string, the number of the open epoch, or "rebuild:TOKEN:SECONDS" while one is being opened
--       journal     stream of the epoch to close
-- ARGV  expected (the epoch to close; 0 if there was none), token, takeover_s (the age at which another process's unfinished rebuild is taken over)
-- Returns {"OK", before, last_id}   closed; only the holder of the token can open the next epoch. before is what the epoch key
--                                   held, last_id the id that the journal generated last; each is empty if there was none
--         {"OTHER", seconds}        another process is opening an epoch: wait that long
--         {"OPEN", epoch}           a later epoch is open already
-- Idempotent.
local epoch_key, journal = unpack(KEYS)
local expected, token, takeover_s = unpack(ARGV)

local now_s = tonumber(redis.call('TIME')[1])
local current = redis.call('GET', epoch_key)
if current then
  local other, since_s = string.match(current, '^rebuild:(%w+):(%d+)$')
  if other then
    local age_s = now_s - tonumber(since_s)
    if other ~= token and age_s < tonumber(takeover_s) then return { 'OTHER', tostring(tonumber(takeover_s) - age_s) } end
  elseif tonumber(current) > tonumber(expected) then
    return { 'OPEN', current }
  end
end
-- The last entry may be trimmed; the id that the stream generated last is kept.
local last_id = ''
local info = redis.pcall('XINFO', 'STREAM', journal)
if not info.err then
  for i = 1, #info, 2 do
    if info[i] == 'last-generated-id' then last_id = info[i + 1] end
  end
end
redis.call('SET', epoch_key, 'rebuild:' .. token .. ':' .. now_s)
return { 'OK', current or '', last_id }
