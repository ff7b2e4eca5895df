-- Modify "orders" table
ALTER TABLE `orders` ADD COLUMN `trace` varchar(568) NULL;
