-- Modify "failed_orders" table
ALTER TABLE `failed_orders` ADD COLUMN `payload_type` varchar(64) NOT NULL DEFAULT "";
-- Modify "orders" table
ALTER TABLE `orders` ADD COLUMN `expires_at` datetime(6) NULL, ADD COLUMN `ship_claimed_at` datetime(6) NULL;
-- Modify "stock_dedup_log" table
ALTER TABLE `stock_dedup_log` ADD COLUMN `orders` mediumblob NULL;
-- Modify "stock_epochs" table
ALTER TABLE `stock_epochs` ADD COLUMN `reconciled_at` datetime(6) NULL;
-- Create "due_mails" table
CREATE TABLE `due_mails` (`id` bigint NOT NULL AUTO_INCREMENT, `order_id` char(26) NOT NULL, `kind` varchar(32) NOT NULL, `attempts` bigint NOT NULL, `next_try_at` datetime(6) NOT NULL, `created_at` datetime(6) NOT NULL, PRIMARY KEY (`id`), INDEX `duemail_next_try_at` (`next_try_at`), UNIQUE INDEX `duemail_order_id_kind` (`order_id`, `kind`)) CHARSET utf8mb4 COLLATE utf8mb4_bin;
-- Create "failed_order_actions" table
CREATE TABLE `failed_order_actions` (`id` bigint NOT NULL AUTO_INCREMENT, `failed_order_id` bigint NOT NULL, `action` varchar(16) NOT NULL, `actor` varchar(64) NOT NULL, `detail` text NOT NULL, `created_at` datetime(6) NOT NULL, PRIMARY KEY (`id`), INDEX `failedorderaction_failed_order_id_id` (`failed_order_id`, `id`)) CHARSET utf8mb4 COLLATE utf8mb4_bin;
-- Create "order_cancellations" table
CREATE TABLE `order_cancellations` (`order_id` char(26) NOT NULL, `reason` varchar(255) NOT NULL, `actor` varchar(64) NOT NULL, `units` text NOT NULL, `refund_amount` bigint NOT NULL, `refund_currency` varchar(3) NOT NULL, `attempts` bigint NOT NULL, `next_try_at` datetime(6) NOT NULL, `created_at` datetime(6) NOT NULL, `refunded_at` datetime(6) NULL, `restocked_at` datetime(6) NULL, `finished_at` datetime(6) NULL, PRIMARY KEY (`order_id`), INDEX `ordercancellation_finished_at_next_try_at` (`finished_at`, `next_try_at`), CONSTRAINT `refund_not_negative` CHECK (`refund_amount` >= 0)) CHARSET utf8mb4 COLLATE utf8mb4_bin;
