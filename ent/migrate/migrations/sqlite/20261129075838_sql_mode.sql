-- Disable the enforcement of foreign-keys constraints
PRAGMA foreign_keys = off;
-- Create "new_stock_epochs" table
CREATE TABLE `new_stock_epochs` (`id` integer NOT NULL PRIMARY KEY AUTOINCREMENT, `partition_no` integer NOT NULL, `epoch` integer NOT NULL, `run_id` text NOT NULL, `last_id` text NOT NULL, `opened_at` datetime NOT NULL, `closed_at` datetime NULL, `reconciled_at` datetime NULL, `durability` text NOT NULL DEFAULT (''), `records_lost_at` datetime NULL, `mode` text NOT NULL DEFAULT ('redis'), `undrained` bool NOT NULL DEFAULT (false), `redis_seen_at` datetime NULL, `reserve_share` integer NOT NULL DEFAULT (0));
-- Copy rows from old table "stock_epochs" to new temporary table "new_stock_epochs"
INSERT INTO `new_stock_epochs` (`id`, `partition_no`, `epoch`, `run_id`, `last_id`, `opened_at`, `closed_at`, `reconciled_at`, `durability`, `records_lost_at`) SELECT `id`, `partition_no`, `epoch`, `run_id`, `last_id`, `opened_at`, `closed_at`, `reconciled_at`, `durability`, `records_lost_at` FROM `stock_epochs`;
-- Drop "stock_epochs" table after copying rows
DROP TABLE `stock_epochs`;
-- Rename temporary table "new_stock_epochs" to "stock_epochs"
ALTER TABLE `new_stock_epochs` RENAME TO `stock_epochs`;
-- Create index "stockepoch_partition_no_epoch" to table: "stock_epochs"
CREATE UNIQUE INDEX `stockepoch_partition_no_epoch` ON `stock_epochs` (`partition_no`, `epoch`);
-- Create "new_products" table
CREATE TABLE `new_products` (`sku` text NOT NULL, `name` text NOT NULL, `description` text NOT NULL, `picture` text NOT NULL, `price_minor` integer NOT NULL, `currency` text NOT NULL, `categories` json NOT NULL, `stock` integer NOT NULL, `reserve` integer NOT NULL DEFAULT (0), `created_at` datetime NOT NULL, `updated_at` datetime NOT NULL, `archived` bool NOT NULL DEFAULT (false), `max_per_customer` integer NOT NULL DEFAULT (10), PRIMARY KEY (`sku`), CONSTRAINT `price_positive` CHECK (price_minor > 0), CONSTRAINT `reserve_not_negative` CHECK (reserve >= 0), CONSTRAINT `stock_not_negative` CHECK (stock >= 0));
-- Copy rows from old table "products" to new temporary table "new_products"
INSERT INTO `new_products` (`sku`, `name`, `description`, `picture`, `price_minor`, `currency`, `categories`, `stock`, `created_at`, `updated_at`, `archived`, `max_per_customer`) SELECT `sku`, `name`, `description`, `picture`, `price_minor`, `currency`, `categories`, `stock`, `created_at`, `updated_at`, `archived`, `max_per_customer` FROM `products`;
-- Drop "products" table after copying rows
DROP TABLE `products`;
-- Rename temporary table "new_products" to "products"
ALTER TABLE `new_products` RENAME TO `products`;
-- Enable back the enforcement of foreign-keys constraints
PRAGMA foreign_keys = on;
