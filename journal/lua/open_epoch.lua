-- open_epoch: the fence, prepended to each script that appends a journal entry. It returns whether the caller's epoch is the open one, on the
-- Redis history that it was opened on: one that was demoted, resynced from an older copy and promoted holds the same epoch key, over the same
-- connections. replid is the replication id of that history, empty for the embedded Redis.
local function open_epoch(epoch_key, epoch, replid)
  if redis.call('GET', epoch_key) ~= epoch then return false end
  return replid == '' or string.find(redis.call('INFO', 'replication'), 'master_replid:' .. replid, 1, true) ~= nil
end

