-- Add column "archived" to table: "products"
ALTER TABLE `products` ADD COLUMN `archived` bool NOT NULL DEFAULT (false);
