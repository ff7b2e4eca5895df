-- claim: ends the session of a guest that a customer has claimed: the guest places no further orders, and the units that the guest ordered count for
-- the customer.
--
-- KEYS  claimed  string, the customer who has claimed the guest's orders
--       from     bought of the guest, see unpaid.lua
--       to       bought of the customer
-- ARGV  customer, claimed_ttl_s
-- Returns {"OK"}
-- Idempotent: what has moved leaves ":to" behind.
local claimed, from, to = unpack(KEYS)
local customer, claimed_ttl_s = unpack(ARGV)

redis.call('SET', claimed, customer, 'EX', claimed_ttl_s)
bought_move(from, to, claimed_ttl_s)
return { 'OK' }
