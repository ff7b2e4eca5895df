-- Create "charges" table
CREATE TABLE `charges` (`order_id` text NOT NULL, `charge_id` text NOT NULL, `state` integer NOT NULL, `amount` integer NOT NULL, `currency` text NOT NULL, `decline_code` text NOT NULL, `created_at` datetime NOT NULL, `updated_at` datetime NOT NULL, PRIMARY KEY (`order_id`), CONSTRAINT `amount_not_negative` CHECK (amount >= 0), CONSTRAINT `charge_state_known` CHECK (state BETWEEN 1 AND 5));
-- Create index "charges_charge_id_key" to table: "charges"
CREATE UNIQUE INDEX `charges_charge_id_key` ON `charges` (`charge_id`);
-- Create index "charge_state_created_at" to table: "charges"
CREATE INDEX `charge_state_created_at` ON `charges` (`state`, `created_at`);
-- Create "failed_orders" table
CREATE TABLE `failed_orders` (`id` integer NOT NULL PRIMARY KEY AUTOINCREMENT, `dedup_key` text NOT NULL, `source` text NOT NULL, `order_id` text NOT NULL, `reason` text NOT NULL, `payload` blob NOT NULL, `trace_id` text NOT NULL, `attempts` integer NOT NULL, `status` text NOT NULL, `created_at` datetime NOT NULL, `updated_at` datetime NOT NULL);
-- Create index "failed_orders_dedup_key_key" to table: "failed_orders"
CREATE UNIQUE INDEX `failed_orders_dedup_key_key` ON `failed_orders` (`dedup_key`);
-- Create index "failedorder_status_id" to table: "failed_orders"
CREATE INDEX `failedorder_status_id` ON `failed_orders` (`status`, `id`);
-- Create index "failedorder_order_id" to table: "failed_orders"
CREATE INDEX `failedorder_order_id` ON `failed_orders` (`order_id`);
-- Create "orders" table
CREATE TABLE `orders` (`id` text NOT NULL, `customer_id` text NOT NULL, `state` integer NOT NULL, `currency` text NOT NULL, `items_total` integer NOT NULL, `shipping_total` integer NOT NULL, `total` integer NOT NULL, `email` text NOT NULL, `ship_name` text NOT NULL, `ship_street` text NOT NULL, `ship_city` text NOT NULL, `ship_region` text NOT NULL, `ship_postal_code` text NOT NULL, `ship_country` text NOT NULL, `tracking_id` text NOT NULL, `idempotency_key` text NULL, `fingerprint` blob NOT NULL, `cancel_reason` text NOT NULL, `created_at` datetime NOT NULL, `updated_at` datetime NOT NULL, PRIMARY KEY (`id`), CONSTRAINT `state_known` CHECK (state BETWEEN 0 AND 4), CONSTRAINT `total_adds_up` CHECK (total = items_total + shipping_total), CONSTRAINT `totals_not_negative` CHECK (items_total >= 0 AND shipping_total >= 0 AND total >= 0));
-- Create index "order_customer_id_idempotency_key" to table: "orders"
CREATE UNIQUE INDEX `order_customer_id_idempotency_key` ON `orders` (`customer_id`, `idempotency_key`);
-- Create index "order_customer_id_id" to table: "orders"
CREATE INDEX `order_customer_id_id` ON `orders` (`customer_id`, `id`);
-- Create index "order_state_updated_at" to table: "orders"
CREATE INDEX `order_state_updated_at` ON `orders` (`state`, `updated_at`);
-- Create "order_items" table
CREATE TABLE `order_items` (`id` integer NOT NULL PRIMARY KEY AUTOINCREMENT, `order_id` text NOT NULL, `sku` text NOT NULL, `name` text NOT NULL, `quantity` integer NOT NULL, `unit_price` integer NOT NULL, CONSTRAINT `quantity_positive` CHECK (quantity >= 1));
-- Create index "orderitem_order_id_sku" to table: "order_items"
CREATE UNIQUE INDEX `orderitem_order_id_sku` ON `order_items` (`order_id`, `sku`);
-- Create index "orderitem_sku" to table: "order_items"
CREATE INDEX `orderitem_sku` ON `order_items` (`sku`);
-- Create "products" table
CREATE TABLE `products` (`sku` text NOT NULL, `name` text NOT NULL, `description` text NOT NULL, `picture` text NOT NULL, `price_minor` integer NOT NULL, `currency` text NOT NULL, `categories` json NOT NULL, `stock` integer NOT NULL, `created_at` datetime NOT NULL, `updated_at` datetime NOT NULL, PRIMARY KEY (`sku`), CONSTRAINT `price_positive` CHECK (price_minor > 0), CONSTRAINT `stock_not_negative` CHECK (stock >= 0));
-- Create "refunds" table
CREATE TABLE `refunds` (`refund_id` text NOT NULL, `order_id` text NOT NULL, `amount` integer NOT NULL, `currency` text NOT NULL, `reason` text NOT NULL, `created_at` datetime NOT NULL, PRIMARY KEY (`refund_id`));
-- Create index "refunds_order_id_key" to table: "refunds"
CREATE UNIQUE INDEX `refunds_order_id_key` ON `refunds` (`order_id`);
-- Create "sent_mails" table
CREATE TABLE `sent_mails` (`id` integer NOT NULL PRIMARY KEY AUTOINCREMENT, `order_id` text NOT NULL, `kind` text NOT NULL, `sent_at` datetime NOT NULL);
-- Create index "sentmail_order_id_kind" to table: "sent_mails"
CREATE UNIQUE INDEX `sentmail_order_id_kind` ON `sent_mails` (`order_id`, `kind`);
-- Create "shipments" table
CREATE TABLE `shipments` (`order_id` text NOT NULL, `tracking_id` text NOT NULL, `shipped_at` datetime NOT NULL, `created_at` datetime NOT NULL, PRIMARY KEY (`order_id`));
-- Create "stock_adjustments" table
CREATE TABLE `stock_adjustments` (`adjustment_id` text NOT NULL, `sku` text NOT NULL, `delta` integer NOT NULL, `reason` text NOT NULL, `actor` text NOT NULL, `created_at` datetime NOT NULL, PRIMARY KEY (`adjustment_id`));
-- Create index "stockadjustment_sku" to table: "stock_adjustments"
CREATE INDEX `stockadjustment_sku` ON `stock_adjustments` (`sku`);
-- Create "stock_dedup_log" table
CREATE TABLE `stock_dedup_log` (`id` integer NOT NULL PRIMARY KEY AUTOINCREMENT, `partition_no` integer NOT NULL, `epoch` integer NOT NULL, `first_id` text NOT NULL, `last_id` text NOT NULL, `entries` integer NOT NULL, `applied_at` datetime NOT NULL);
-- Create index "stockdeduplog_partition_no_epoch_first_id" to table: "stock_dedup_log"
CREATE UNIQUE INDEX `stockdeduplog_partition_no_epoch_first_id` ON `stock_dedup_log` (`partition_no`, `epoch`, `first_id`);
-- Create "stock_epochs" table
CREATE TABLE `stock_epochs` (`id` integer NOT NULL PRIMARY KEY AUTOINCREMENT, `partition_no` integer NOT NULL, `epoch` integer NOT NULL, `run_id` text NOT NULL, `last_id` text NOT NULL, `opened_at` datetime NOT NULL, `closed_at` datetime NULL);
-- Create index "stockepoch_partition_no_epoch" to table: "stock_epochs"
CREATE UNIQUE INDEX `stockepoch_partition_no_epoch` ON `stock_epochs` (`partition_no`, `epoch`);
