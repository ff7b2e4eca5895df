-- Add column "sale_starts_at" to table: "products"
ALTER TABLE `products` ADD COLUMN `sale_starts_at` datetime NULL;
