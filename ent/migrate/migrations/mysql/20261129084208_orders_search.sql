-- Modify "order_items" table
ALTER TABLE `order_items` ADD INDEX `orderitem_sku_order_id` (`sku`, `order_id`), DROP INDEX `orderitem_sku`;
-- Modify "orders" table
ALTER TABLE `orders` ADD INDEX `order_email_id` (`email`, `id`);
