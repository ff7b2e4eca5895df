-- Disable the enforcement of foreign-keys constraints
PRAGMA foreign_keys = off;
-- Create "new_failed_orders" table
CREATE TABLE `new_failed_orders` (`id` integer NOT NULL PRIMARY KEY AUTOINCREMENT, `dedup_key` text NOT NULL, `source` text NOT NULL, `order_id` text NOT NULL, `reason` text NOT NULL, `payload` blob NOT NULL, `trace_id` text NOT NULL, `attempts` integer NOT NULL, `status` text NOT NULL, `created_at` datetime NOT NULL, `updated_at` datetime NOT NULL, `payload_type` text NOT NULL DEFAULT (''));
-- Copy rows from old table "failed_orders" to new temporary table "new_failed_orders"
INSERT INTO `new_failed_orders` (`id`, `dedup_key`, `source`, `order_id`, `reason`, `payload`, `trace_id`, `attempts`, `status`, `created_at`, `updated_at`) SELECT `id`, `dedup_key`, `source`, `order_id`, `reason`, `payload`, `trace_id`, `attempts`, `status`, `created_at`, `updated_at` FROM `failed_orders`;
-- Drop "failed_orders" table after copying rows
DROP TABLE `failed_orders`;
-- Rename temporary table "new_failed_orders" to "failed_orders"
ALTER TABLE `new_failed_orders` RENAME TO `failed_orders`;
-- Create index "failed_orders_dedup_key_key" to table: "failed_orders"
CREATE UNIQUE INDEX `failed_orders_dedup_key_key` ON `failed_orders` (`dedup_key`);
-- Create index "failedorder_status_id" to table: "failed_orders"
CREATE INDEX `failedorder_status_id` ON `failed_orders` (`status`, `id`);
-- Create index "failedorder_order_id" to table: "failed_orders"
CREATE INDEX `failedorder_order_id` ON `failed_orders` (`order_id`);
-- Add column "expires_at" to table: "orders"
ALTER TABLE `orders` ADD COLUMN `expires_at` datetime NULL;
-- Add column "ship_claimed_at" to table: "orders"
ALTER TABLE `orders` ADD COLUMN `ship_claimed_at` datetime NULL;
-- Add column "orders" to table: "stock_dedup_log"
ALTER TABLE `stock_dedup_log` ADD COLUMN `orders` blob NULL;
-- Add column "reconciled_at" to table: "stock_epochs"
ALTER TABLE `stock_epochs` ADD COLUMN `reconciled_at` datetime NULL;
-- Create "due_mails" table
CREATE TABLE `due_mails` (`id` integer NOT NULL PRIMARY KEY AUTOINCREMENT, `order_id` text NOT NULL, `kind` text NOT NULL, `attempts` integer NOT NULL, `next_try_at` datetime NOT NULL, `created_at` datetime NOT NULL);
-- Create index "duemail_order_id_kind" to table: "due_mails"
CREATE UNIQUE INDEX `duemail_order_id_kind` ON `due_mails` (`order_id`, `kind`);
-- Create index "duemail_next_try_at" to table: "due_mails"
CREATE INDEX `duemail_next_try_at` ON `due_mails` (`next_try_at`);
-- Create "failed_order_actions" table
CREATE TABLE `failed_order_actions` (`id` integer NOT NULL PRIMARY KEY AUTOINCREMENT, `failed_order_id` integer NOT NULL, `action` text NOT NULL, `actor` text NOT NULL, `detail` text NOT NULL, `created_at` datetime NOT NULL);
-- Create index "failedorderaction_failed_order_id_id" to table: "failed_order_actions"
CREATE INDEX `failedorderaction_failed_order_id_id` ON `failed_order_actions` (`failed_order_id`, `id`);
-- Create "order_cancellations" table
CREATE TABLE `order_cancellations` (`order_id` text NOT NULL, `reason` text NOT NULL, `actor` text NOT NULL, `units` text NOT NULL, `refund_amount` integer NOT NULL, `refund_currency` text NOT NULL, `attempts` integer NOT NULL, `next_try_at` datetime NOT NULL, `created_at` datetime NOT NULL, `refunded_at` datetime NULL, `restocked_at` datetime NULL, `finished_at` datetime NULL, PRIMARY KEY (`order_id`), CONSTRAINT `refund_not_negative` CHECK (refund_amount >= 0));
-- Create index "ordercancellation_finished_at_next_try_at" to table: "order_cancellations"
CREATE INDEX `ordercancellation_finished_at_next_try_at` ON `order_cancellations` (`finished_at`, `next_try_at`);
-- Enable back the enforcement of foreign-keys constraints
PRAGMA foreign_keys = on;
