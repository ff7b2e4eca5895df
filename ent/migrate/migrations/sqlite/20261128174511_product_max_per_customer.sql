-- Disable the enforcement of foreign-keys constraints
PRAGMA foreign_keys = off;
-- Create "new_products" table
CREATE TABLE `new_products` (`sku` text NOT NULL, `name` text NOT NULL, `description` text NOT NULL, `picture` text NOT NULL, `price_minor` integer NOT NULL, `currency` text NOT NULL, `categories` json NOT NULL, `stock` integer NOT NULL, `created_at` datetime NOT NULL, `updated_at` datetime NOT NULL, `archived` bool NOT NULL DEFAULT (false), `max_per_customer` integer NOT NULL DEFAULT (10), PRIMARY KEY (`sku`), CONSTRAINT `price_positive` CHECK (price_minor > 0), CONSTRAINT `stock_not_negative` CHECK (stock >= 0));
-- Copy rows from old table "products" to new temporary table "new_products"
INSERT INTO `new_products` (`sku`, `name`, `description`, `picture`, `price_minor`, `currency`, `categories`, `stock`, `created_at`, `updated_at`, `archived`) SELECT `sku`, `name`, `description`, `picture`, `price_minor`, `currency`, `categories`, `stock`, `created_at`, `updated_at`, `archived` FROM `products`;
-- Drop "products" table after copying rows
DROP TABLE `products`;
-- Rename temporary table "new_products" to "products"
ALTER TABLE `new_products` RENAME TO `products`;
-- Enable back the enforcement of foreign-keys constraints
PRAGMA foreign_keys = on;
