-- Modify "products" table
ALTER TABLE `products` ADD COLUMN `archived` bool NOT NULL DEFAULT 0;
