-- The fence, prepended to each script that appends a journal entry.
--
-- open_epoch returns whether the caller's epoch is the open one, on the Redis history that it was opened on. number is what the epoch's key
-- holds: a Redis that was demoted, resynced from an older copy and promoted holds the same, over the same connections. replid is the
-- replication id of that history, empty for the embedded Redis.
local function open_epoch(number, epoch, replid)
  if number ~= epoch then return false end
  return replid == '' or string.find(redis.call('INFO', 'replication'), 'master_replid:' .. replid, 1, true) ~= nil
end

