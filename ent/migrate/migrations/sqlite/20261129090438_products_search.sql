-- Create index "product_archived_price_minor" to table: "products"
CREATE INDEX `product_archived_price_minor` ON `products` (`archived`, `price_minor`);
-- Create index "product_archived_name" to table: "products"
CREATE INDEX `product_archived_name` ON `products` (`archived`, `name`);
-- Create index "product_archived_created_at" to table: "products"
CREATE INDEX `product_archived_created_at` ON `products` (`archived`, `created_at`);
-- Create index "product_name_description" to table: "products"
CREATE INDEX `product_name_description` ON `products` (`name`, `description`);
