-- Create index "order_email_id" to table: "orders"
CREATE INDEX `order_email_id` ON `orders` (`email`, `id`);
-- Create index "orderitem_sku_order_id" to table: "order_items"
CREATE INDEX `orderitem_sku_order_id` ON `order_items` (`sku`, `order_id`);
-- Drop index "orderitem_sku" from table: "order_items"
DROP INDEX `orderitem_sku`;
