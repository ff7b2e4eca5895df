-- publish: replaces the report of a process, and removes those of processes that have ended.
--
-- KEYS  reports  hash, process id → report
--       seen     zset, process id → when it published last, in ms
-- ARGV  id, report (opaque bytes), kept_ms (how long a report is kept without a new one), max (how many processes there are at most)
-- Returns 1, or 0 if there are max other processes
-- Idempotent.
local reports, seen = unpack(KEYS)
local id, report, kept_ms, max = ARGV[1], ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])

local time = redis.call('TIME')
local now_ms = tonumber(time[1]) * 1000 + math.floor(tonumber(time[2]) / 1000)
-- There are at most max.
for _, ended in ipairs(redis.call('ZRANGEBYSCORE', seen, '-inf', now_ms - kept_ms)) do
  redis.call('ZREM', seen, ended)
  redis.call('HDEL', reports, ended)
end
if not redis.call('ZSCORE', seen, id) and redis.call('ZCARD', seen) >= max then return 0 end
redis.call('HSET', reports, id, report)
redis.call('ZADD', seen, now_ms, id)
redis.call('PEXPIRE', reports, kept_ms)
redis.call('PEXPIRE', seen, kept_ms)
return 1
