-- Modify "products" table
ALTER TABLE `products` ADD COLUMN `max_per_customer` int NOT NULL DEFAULT 10;
