-- Add column "prev_id" to table: "stock_dedup_log"
ALTER TABLE `stock_dedup_log` ADD COLUMN `prev_id` text NULL;
