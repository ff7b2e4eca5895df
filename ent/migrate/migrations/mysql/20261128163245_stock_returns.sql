-- Modify "stock_epochs" table
ALTER TABLE `stock_epochs` MODIFY COLUMN `run_id` varchar(128) NOT NULL, ADD COLUMN `durability` varchar(16) NOT NULL DEFAULT "", ADD COLUMN `records_lost_at` datetime(6) NULL;
-- Create "stock_returns" table
CREATE TABLE `stock_returns` (`order_id` char(26) NOT NULL, `epoch` bigint NOT NULL, `entry_id` varchar(41) NOT NULL, `reason` varchar(255) NOT NULL, `returned_at` datetime(6) NOT NULL, PRIMARY KEY (`order_id`)) CHARSET utf8mb4 COLLATE utf8mb4_bin;
-- Orders whose units are back already. A duplicate's units may still be on their way.
INSERT INTO `stock_returns` (`order_id`, `epoch`, `entry_id`, `reason`, `returned_at`)
  SELECT `order_id`, 0, '0-0', `reason`, `restocked_at` FROM `order_cancellations` WHERE `restocked_at` IS NOT NULL AND `units` <> '';
INSERT INTO `stock_returns` (`order_id`, `epoch`, `entry_id`, `reason`, `returned_at`)
  SELECT o.`id`, 0, '0-0', o.`cancel_reason`, o.`updated_at` FROM `orders` o WHERE o.`state` = 2 AND o.`cancel_reason` NOT LIKE 'duplicate of %'
  AND NOT EXISTS (SELECT 1 FROM `order_cancellations` x WHERE x.`order_id` = o.`id` AND x.`units` <> '');
