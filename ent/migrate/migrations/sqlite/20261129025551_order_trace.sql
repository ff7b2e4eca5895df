-- Add column "trace" to table: "orders"
ALTER TABLE `orders` ADD COLUMN `trace` text NULL;
