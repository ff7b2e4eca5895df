-- Modify "stock_dedup_log" table
ALTER TABLE `stock_dedup_log` ADD COLUMN `prev_id` varchar(41) NULL;
