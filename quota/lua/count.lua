-- count: counts events in a window of time.
--
-- KEYS  counter   integer; expires at the end of the window
-- ARGV  window    in ms
--       events    how many
-- Returns {events in the window, rest of the window in ms}. Not idempotent.
local n = redis.call('INCRBY', KEYS[1], ARGV[2])
local left = redis.call('PTTL', KEYS[1])
if left < 0 then
  left = tonumber(ARGV[1])
  redis.call('PEXPIRE', KEYS[1], left)
end
return {n, left}
