-- Disable the enforcement of foreign-keys constraints
PRAGMA foreign_keys = off;
-- Create "new_stock_epochs" table
CREATE TABLE `new_stock_epochs` (`id` integer NOT NULL PRIMARY KEY AUTOINCREMENT, `partition_no` integer NOT NULL, `epoch` integer NOT NULL, `run_id` text NOT NULL, `last_id` text NOT NULL, `opened_at` datetime NOT NULL, `closed_at` datetime NULL, `reconciled_at` datetime NULL, `durability` text NOT NULL DEFAULT (''), `records_lost_at` datetime NULL);
-- Copy rows from old table "stock_epochs" to new temporary table "new_stock_epochs"
INSERT INTO `new_stock_epochs` (`id`, `partition_no`, `epoch`, `run_id`, `last_id`, `opened_at`, `closed_at`, `reconciled_at`) SELECT `id`, `partition_no`, `epoch`, `run_id`, `last_id`, `opened_at`, `closed_at`, `reconciled_at` FROM `stock_epochs`;
-- Drop "stock_epochs" table after copying rows
DROP TABLE `stock_epochs`;
-- Rename temporary table "new_stock_epochs" to "stock_epochs"
ALTER TABLE `new_stock_epochs` RENAME TO `stock_epochs`;
-- Create index "stockepoch_partition_no_epoch" to table: "stock_epochs"
CREATE UNIQUE INDEX `stockepoch_partition_no_epoch` ON `stock_epochs` (`partition_no`, `epoch`);
-- Create "stock_returns" table
CREATE TABLE `stock_returns` (`order_id` text NOT NULL, `epoch` integer NOT NULL, `entry_id` text NOT NULL, `reason` text NOT NULL, `returned_at` datetime NOT NULL, PRIMARY KEY (`order_id`));
-- Orders whose units are back already. A duplicate's units may still be on their way.
INSERT INTO `stock_returns` (`order_id`, `epoch`, `entry_id`, `reason`, `returned_at`)
  SELECT `order_id`, 0, '0-0', `reason`, `restocked_at` FROM `order_cancellations` WHERE `restocked_at` IS NOT NULL AND `units` <> '';
INSERT INTO `stock_returns` (`order_id`, `epoch`, `entry_id`, `reason`, `returned_at`)
  SELECT o.`id`, 0, '0-0', o.`cancel_reason`, o.`updated_at` FROM `orders` o WHERE o.`state` = 2 AND o.`cancel_reason` NOT LIKE 'duplicate of %'
  AND NOT EXISTS (SELECT 1 FROM `order_cancellations` x WHERE x.`order_id` = o.`id` AND x.`units` <> '');
-- Enable back the enforcement of foreign-keys constraints
PRAGMA foreign_keys = on;
