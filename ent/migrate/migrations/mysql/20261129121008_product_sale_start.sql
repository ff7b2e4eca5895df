-- Modify "products" table
ALTER TABLE `products` ADD COLUMN `sale_starts_at` datetime(6) NULL;
